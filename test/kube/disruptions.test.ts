/**
 * Calls from pods of both engines through egress gateways of both, while the control plane is upgraded and killed, the API server and etcd are restarted, and
 * the gateways are rolled over: none to the allowed host fails, none to another gets out. The clients count.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { loadAll } from 'js-yaml';
import { imageName } from '../../scripts/image.ts';
import { needs } from '../integration/tools.ts';
import { answers, missing, questions, startPrometheus, type Target } from './dashboards.ts';
import { ALLOWED, type CallRecord, DENIED, type Hit, RECORD_URL, SERVES, TCP_PORT } from './load-app.ts';
import { KubeNode, needsNode } from './node.ts';

const skip = needsNode();
const ENGINES = ['envoy', 'embedded'] as const;
const NAMESPACE = 'load';
const SYSTEM = 'istio-system';
const CONTROLLER = 'deployment/sallyport-controller';
const GATEWAY = 'istio-egressgateway';
/** Where both hosts are. */
const OUTSIDE = '10.59.118.61';
const APP = join(import.meta.dirname, 'load-app.ts');
/** As many requests have to come through in the middle of a disruption, and after it: some seconds' worth. */
const ENOUGH = 300;
/** Declared in the end, to see that what is declared still reaches everybody. */
const LATER = 'later.example';

const MESH = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: allowed, namespace: ${NAMESPACE} }
spec:
  hosts: [${ALLOWED}]
  resolution: DNS
  ports: [{ number: 80, name: http, protocol: HTTP }]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: egress, namespace: ${NAMESPACE} }
spec:
  selector: { istio: egressgateway }
  servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: [${ALLOWED}] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: allowed, namespace: ${NAMESPACE} }
spec:
  hosts: [${ALLOWED}]
  gateways: [egress, mesh]
  http:
  - match: [{ gateways: [mesh], port: 80 }]
    route: [{ destination: { host: ${GATEWAY}.${SYSTEM}.svc.cluster.local, port: { number: 80 } } }]
  - match: [{ gateways: [egress], port: 80 }]
    route: [{ destination: { host: ${ALLOWED}, port: { number: 80 } } }]
`;
const LATER_ENTRY = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: later, namespace: ${NAMESPACE} }
spec:
  hosts: [${LATER}]
  resolution: DNS
  ports: [{ number: 80, name: http, protocol: HTTP }]
`;

const TCP_ENTRY = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: tcp, namespace: ${NAMESPACE} }
spec:
  hosts: [tcp.example]
  addresses: [${OUTSIDE}]
  ports: [{ number: ${TCP_PORT}, name: tcp, protocol: TCP }]
`;
/** Panels that have nothing to show while all is well. */
const SILENT = [
  'Sallyport: egress, Refused, by caller',
  'Sallyport: egress, Way round suspected: let out undeclared',
  'Sallyport: egress, Way round open, by configuration',
  'Sallyport: egress, Errors, by host',
  'Sallyport: gateways, Refused for want of room',
  'Sallyport: gateways, Not reached outside',
];

let node: KubeNode;
/** What came outside, in its order. */
const hits: Hit[] = [];
/** Waits for hits. */
let waiting: { readonly count: number; readonly resolve: () => void } | undefined;

before(
  async () => {
    if (skip) return;
    node = await KubeNode.start();
    await node.address(OUTSIDE);
    node.nameOthers([`${OUTSIDE} ${ALLOWED} ${DENIED} ${LATER}`]);
    const outside = await node.outside(process.execPath, [APP, 'outside', OUTSIDE], new RegExp(SERVES));
    createInterface({ input: outside.stdout! }).on('line', heard);
    await node.helm(['uninstall', 'sallyport', '--namespace', SYSTEM, '--ignore-not-found', '--wait']);
    await node.delete('namespace', NAMESPACE);
    await node.install('replicas=3');
    await node.apply(`{ apiVersion: v1, kind: Namespace, metadata: { name: ${NAMESPACE}, labels: { istio-injection: enabled } } }`);
    for (const engine of ENGINES) await node.apply(gatewayOf(engine));
    await node.nameServices();
    await node.kubectl(['create', 'configmap', 'load-app', '-n', NAMESPACE, `--from-file=load-app.mts=${APP}`]);
    await node.apply(MESH);
    for (const engine of ENGINES)
      await node.kubectl(['-n', SYSTEM, 'rollout', 'status', `deployment/${GATEWAY}-${engine}`, '--timeout=90s']);
  },
  { timeout: 300_000 },
);
after(
  async () => {
    if (skip) return;
    try {
      await node.delete('namespace', NAMESPACE);
      for (const engine of ENGINES) await node.delete('deployment', `${GATEWAY}-${engine}`, '-n', SYSTEM);
      await node.delete('service,serviceaccount,poddisruptionbudget', GATEWAY, '-n', SYSTEM);
    } finally {
      await node.stop();
    }
  },
  { timeout: 180_000 },
);

function heard(line: string): void {
  if (!line.startsWith('{')) return;
  hits.push(JSON.parse(line) as Hit);
  if (waiting && hits.length >= waiting.count) waiting.resolve();
}

/** So many more requests come out, whether or not the cluster answers. */
async function requestsComeOut(more: number): Promise<void> {
  const count = hits.length + more;
  const late = AbortSignal.timeout(60_000);
  await new Promise<void>((resolve, reject) => {
    waiting = { count, resolve };
    late.addEventListener('abort', () => reject(new Error(`only ${hits.length - count + more} of ${more} requests came out`)));
  });
}

/** The product's own manifest of an egress gateway, as a Deployment of one engine behind the same Service. */
function gatewayOf(engine: string): string {
  const objects = loadAll(readFileSync(join(import.meta.dirname, '../../deploy/egress-gateway.yaml'), 'utf8')) as Manifest[];
  for (const { kind, metadata, spec } of objects) {
    if (kind !== 'Deployment') continue;
    metadata.name = `${GATEWAY}-${engine}`;
    Object.assign(spec.selector.matchLabels, { engine });
    Object.assign(spec.template.metadata.labels, { engine });
    Object.assign(spec.template.metadata.annotations, { 'sallyport.dev/engine': engine });
    spec.replicas = 1;
  }
  return objects.map((each) => JSON.stringify(each)).join('\n---\n');
}

function clientPod(name: string, engine: string, more: object = {}): string {
  const app = {
    name: 'app',
    image: imageName(),
    command: ['node', '/app/load-app.mts', 'client', OUTSIDE],
    // Whoever is not the proxy's own user is captured.
    securityContext: { runAsUser: 1000, runAsGroup: 1000 },
    volumeMounts: [{ name: 'app', mountPath: '/app' }],
  };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: NAMESPACE, labels: { app: name }, annotations: { 'sallyport.dev/engine': engine } },
    spec: { containers: [app], volumes: [{ name: 'app', configMap: { name: 'load-app' } }], terminationGracePeriodSeconds: 1, ...more },
  });
}

const askClient = (engine: string, path: string) =>
  node.kubectl([
    ...['exec', engine, '-n', NAMESPACE, '-c', 'app', '--', 'node', '-e'],
    `fetch('${RECORD_URL}/${path}').then((answer) => answer.text()).then(console.log)`,
  ]);
const recordOf = async (engine: string) => JSON.parse(await askClient(engine, 'record')) as CallRecord;

// biome-ignore lint/suspicious/noExplicitAny: pods
const podsOf = async (...selector: readonly string[]): Promise<any[]> => (await node.get('pods', '-n', SYSTEM, ...selector)).items;
const controllers = async () => (await podsOf('-l', 'app=istiod')).filter(({ metadata }) => !metadata.deletionTimestamp);
const leader = async () => (await node.get('lease', 'sallyport-leader', '-n', SYSTEM)).spec.holderIdentity as string;

/** What is declared from now on reaches both clients' proxies, and so does its removal. */
async function changesTakeEffect(): Promise<void> {
  const both = async (what: string, isSo: (said: string) => boolean) => {
    for (const engine of ENGINES) await node.until(`${engine}: ${LATER} ${what}`, () => askClient(engine, `call/${LATER}`), isSo);
  };
  await node.apply(LATER_ENTRY);
  await both('is let out', (said) => said.includes('from outside'));
  await node.delete('serviceentry', 'later', '-n', NAMESPACE);
  await both('is refused', (said) => !said.includes('from outside'));
}

/** Pods are made as ever, each with its proxy, until that is ended; resolves with what went wrong. */
function makingPods(): { end(): Promise<readonly string[]> } {
  let over = false;
  const wrong: string[] = [];
  const done = (async () => {
    while (!over) {
      const made = await node.apply(clientPod('tried', 'envoy'), '--dry-run=server', '-o', 'json').catch((error: unknown) => String(error));
      if (!made.includes('"istio-proxy"')) wrong.push(made);
    }
  })();
  return {
    end: async () => {
      over = true;
      await done;
      return wrong;
    },
  };
}

test('three controllers serve at the same time: proxies that know one alone are ready', { skip, timeout: 240_000 }, async () => {
  const all = await controllers();
  assert.equal(all.length, 3);
  const names = all.map(({ metadata }) => `knows-${metadata.name}`);
  for (const [i, { status }] of all.entries()) {
    const hostAliases = [{ ip: status.podIP, hostnames: [`istiod.${SYSTEM}.svc`] }];
    await node.apply(clientPod(names[i]!, ENGINES[i % 2]!, { hostAliases }));
  }
  for (const name of names) await node.ready(name, NAMESPACE);
  await node.delete('pod', ...names, '-n', NAMESPACE);
});

test('no call fails and none gets out that is not allowed, whatever becomes of the control plane', {
  skip,
  timeout: 1_200_000,
}, async (t) => {
  for (const engine of ENGINES) await node.apply(clientPod(engine, engine));
  for (const engine of ENGINES) await node.ready(engine, NAMESPACE);
  for (const engine of ENGINES)
    await node.until(
      `${engine}: allowed`,
      () => askClient(engine, `call/${ALLOWED}`).catch(String),
      (said) => said.includes('from outside'),
    );
  const began = await Promise.all(ENGINES.map(recordOf));
  const gateways = new Set<string>();
  const from = hits.length;

  const disrupted = (what: string, disrupt: () => Promise<void>) =>
    t.test(what, async (t) => {
      for (const { status } of await podsOf('-l', 'istio=egressgateway')) gateways.add(status.podIP);
      const earlier = await Promise.all(ENGINES.map(recordOf));
      await disrupt();
      await changesTakeEffect();
      await requestsComeOut(ENOUGH);
      for (const { status } of await podsOf('-l', 'istio=egressgateway')) gateways.add(status.podIP);
      for (const [i, engine] of ENGINES.entries()) {
        const now = await recordOf(engine);
        const before = earlier[i]!;
        t.diagnostic(`${engine}: ${now.answered - before.answered} answered, ${now.denied - before.denied} refused`);
        assert.deepEqual(now.failures, before.failures, engine);
        assert.deepEqual([now.failed, now.through], [before.failed, 0], engine);
        assert.ok(now.answered > before.answered && now.denied > before.denied, engine);
      }
    });

  await disrupted('an upgrade to another image', async () => {
    await node.tagImage('next');
    const before = (await controllers()).map(({ metadata }) => metadata.uid);
    const making = makingPods();
    await node.install('replicas=3', 'image.tag=next', 'meshConfig.accessLogEncoding=JSON');
    const wrong = await making.end();
    await node.kubectl(['-n', SYSTEM, 'rollout', 'status', CONTROLLER, '--timeout=90s']);
    const now = await controllers();
    assert.ok(
      now.length === 3 && now.every(({ metadata, spec }) => !before.includes(metadata.uid) && /:next$/.test(spec.containers[0].image)),
    );
    assert.deepEqual(wrong, []);
  });
  await disrupted('its leader is killed', async () => {
    // Those that were replaced have given the Lease back.
    const pods = (await controllers()).map(({ metadata }) => metadata.name as string);
    const killed = await node.until('one of them leads', leader, (now) => pods.includes(now.split('_')[0]!));
    await node.kill(killed.split('_')[0]!, 'controller', SYSTEM);
    await requestsComeOut(ENOUGH);
    await node.until('another leads', leader, (now) => now !== '' && now !== killed);
    await node.kubectl(['-n', SYSTEM, 'rollout', 'status', CONTROLLER, '--timeout=90s']);
  });
  await disrupted('all of them are killed', async () => {
    for (const { metadata } of await controllers()) await node.kill(metadata.name, 'controller', SYSTEM);
    await requestsComeOut(ENOUGH);
    await node.kubectl(['-n', SYSTEM, 'rollout', 'status', CONTROLLER, '--timeout=90s']);
  });
  await disrupted('the API server is restarted', () => node.without('apiserver', () => requestsComeOut(2 * ENOUGH)));
  await disrupted('etcd is restarted', () => node.without('etcd', () => requestsComeOut(2 * ENOUGH)));
  await disrupted('the gateways are rolled over', async () => {
    for (const engine of ENGINES) {
      await node.kubectl(['-n', SYSTEM, 'rollout', 'restart', `deployment/${GATEWAY}-${engine}`]);
      await node.kubectl(['-n', SYSTEM, 'rollout', 'status', `deployment/${GATEWAY}-${engine}`, '--timeout=120s']);
    }
  });

  await t.test('what came out is what was allowed, from the gateways alone', async () => {
    const strange = hits.slice(from).filter(({ host, from }) => host !== LATER && (host !== ALLOWED || !gateways.has(from)));
    assert.deepEqual(strange, []);
    for (const [i, engine] of ENGINES.entries()) {
      const now = await recordOf(engine);
      t.diagnostic(
        `${engine}: ${now.answered - began[i]!.answered} answered, ${now.failed} failed; ${now.denied - began[i]!.denied} refused`,
      );
    }
  });
});

test('what the dashboards ask for is there, with the labels by which they ask, of both engines', {
  skip: skip || needs('prometheus'),
  timeout: 300_000,
}, async () => {
  await node.apply(TCP_ENTRY);
  for (const engine of ENGINES) {
    await node.until(
      `${engine}: TCP`,
      () => askClient(engine, `connect/${TCP_PORT}`).catch(String),
      (said) => said.includes('from outside'),
    );
    await askClient(engine, `connect/${TCP_PORT + 1}`);
  }
  // Once more by a way that does not lead through a gateway, and one that nothing declares and MeshConfig lets out.
  await node.apply(LATER_ENTRY);
  for (const engine of ENGINES)
    await node.until(
      `${engine}: directly`,
      () => askClient(engine, `call/${LATER}`),
      (said) => said.includes('from outside'),
    );
  const clients = await Promise.all(ENGINES.map((engine) => node.get('pod', engine, '-n', NAMESPACE)));
  const target = ({ metadata: { name: pod, namespace }, status: { podIP } }: Pod, port: number, path: Target['path']): Target => ({
    address: `${podIP}:${port}`,
    path,
    namespace,
    pod,
  });
  const proxies = [...clients, ...(await podsOf('-l', 'istio=egressgateway'))].map((each) => target(each, 15_020, '/stats/prometheus'));
  const control = (await controllers()).map((each) => target(each, 15_021, '/metrics'));
  await startPrometheus(node, [...proxies, ...control]);
  const all = questions();
  const busy = all.find(({ panel }) => panel === 'Sallyport: egress, Requests, by caller and host')!;
  await node.until(
    'it has read twice',
    () => answers(node, busy),
    (count) => count >= 4,
  );
  assert.deepEqual((await Promise.all(all.map((each) => missing(node, each)))).flat(), []);
  const silent: string[] = [];
  for (const each of all) if ((await answers(node, each)) === 0) silent.push(each.panel);
  assert.deepEqual(
    silent.filter((panel) => !SILENT.includes(panel)),
    [],
  );
});

interface Pod {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly status: { readonly podIP: string };
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { name: string };
  readonly spec: {
    replicas: number;
    readonly selector: { readonly matchLabels: object };
    readonly template: { readonly metadata: { readonly labels: object; readonly annotations: object } };
  };
}
