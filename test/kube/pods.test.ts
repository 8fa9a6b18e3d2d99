/** Injected pods on a real node: what the mesh refuses and lets out there, by both engines. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PROGRAM } from '../integration/cli/program.ts';
import { SHARED } from '../support/lab.ts';
import { CLIENT_IMAGE, KubeNode, needsNode } from './node.ts';

const skip = needsNode();
const REDIS = '10.59.118.59';
/** Another that is declared nowhere. */
const OTHER = '10.59.118.60';
const ENGINES = ['envoy', 'embedded'] as const;
const seed = (name: string) => readFileSync(join(SHARED, 'seeds', name), 'utf8');

const SHOP = `
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { istio-injection: enabled } }
`;
const STRICT = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: STRICT } }
`;

let node: KubeNode;

/** As somebody writes it who knows of no mesh. */
function pod(name: string, more: object = {}, annotations: object = {}, labels: object = {}) {
  const containers = [{ name: 'app', image: CLIENT_IMAGE, command: ['sleep', '86400'] }];
  const spec = { containers, terminationGracePeriodSeconds: 1, ...more };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { app: name, ...labels }, annotations }, spec };
}

function injected(object: object, ...options: readonly string[]): string {
  return execFileSync(process.execPath, [PROGRAM, 'inject', '-f', '-', ...options], { input: JSON.stringify(object), encoding: 'utf8' });
}

const telnet = (name: string) => node.speak(name, ['telnet', REDIS, '6379'], 'PING\r\n', /\+PONG/);
const connects = (said: string) => said.includes('+PONG');
const refused = (said: string) => /Connection closed by foreign host/.test(said) && !connects(said);

/** Of all connections to Redis that there are, and were. */
const received = async () => Number(/total_connections_received:(\d+)/.exec(await node.ask('redis-cli', '-h', REDIS, 'info', 'stats'))![1]);
before(
  async () => {
    if (skip) return;
    node = await KubeNode.start();
    for (const address of [REDIS, OTHER]) await node.address(address);
    await node.outside('redis-server', ['--bind', REDIS, OTHER, '--protected-mode', 'no', '--save', ''], /Ready to accept connections/);
    await node.helm(['uninstall', 'sallyport', '--namespace', 'istio-system', '--ignore-not-found', '--wait']);
    await node.delete('namespace', 'shop');
  },
  { timeout: 240_000 },
);
after(
  async () => {
    if (skip) return;
    try {
      await node.delete('pod', '--all', '-n', 'default', '--grace-period=1');
      await node.delete('serviceentries,gateways.networking.istio.io,virtualservices', '--all', '-n', 'default');
      await node.delete('-f', join(import.meta.dirname, '../../deploy/egress-gateway.yaml'));
      await node.delete('namespace', 'shop');
    } finally {
      await node.stop();
    }
  },
  { timeout: 120_000 },
);

test('from helm install to the first call that is refused it takes less than a minute, and the chart’s own test passes', {
  skip,
  timeout: 240_000,
}, async (t) => {
  const began = performance.now();
  await node.install();
  await node.apply(SHOP);
  // The first may come before the API server knows by which certificate the webhook is known: it is refused then, not let in without a proxy.
  const made = () => node.apply(JSON.stringify(pod('client')), '-n', 'shop').catch((error: unknown) => String(error));
  await node.until('the pod is made', made, (said) => said.includes('created'));
  await node.ready('client', 'shop');
  const said = await node.shell('client', `echo PING | nc -w 5 ${REDIS} 6379`, 'shop');
  const seconds = (performance.now() - began) / 1000;
  assert.doesNotMatch(said, /PONG/);
  t.diagnostic(`${seconds.toFixed(1)} s`);
  assert.ok(seconds < 60, `${seconds} s`);
  const { spec } = await node.get('pod', 'client', '-n', 'shop');
  assert.deepEqual(
    spec.initContainers.map(({ name }: { name: string }) => name),
    ['istio-init', 'istio-proxy'],
  );
  assert.match(await node.helm(['test', 'sallyport', '--namespace', 'istio-system', '--timeout', '60s']), /Phase: +Succeeded/);
});

test('pods of both engines call each other by mutual TLS, and nobody else is let in', { skip, timeout: 240_000 }, async () => {
  await node.apply(STRICT);
  for (const engine of ENGINES) {
    const app = {
      name: 'app',
      image: CLIENT_IMAGE,
      command: ['sh', '-c', `mkdir -p /tmp/www && echo ${engine} >/tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www`],
    };
    const server = { ...app, readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 } };
    const port = { name: 'http', port: 80, targetPort: 8080 };
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: engine }, spec: { selector: { app: engine }, ports: [port] } };
    await node.apply(JSON.stringify(service), '-n', 'shop');
    await node.apply(JSON.stringify(pod(engine, { containers: [server] }, { 'sallyport.dev/engine': engine })), '-n', 'shop');
  }
  await node.apply(JSON.stringify(pod('stranger', {}, {}, { 'sidecar.istio.io/inject': 'false' })), '-n', 'shop');
  await node.nameServices();
  for (const name of [...ENGINES, 'stranger']) await node.ready(name, 'shop');
  const call = (from: string, to: string) => node.shell(from, `wget -q -T 5 -O - http://${to}/`, 'shop');
  for (const from of ENGINES)
    for (const to of ENGINES)
      await node.until(
        `${from} calls ${to}`,
        () => call(from, `${to}.shop`),
        (said) => said.trim() === to,
      );
  for (const to of ENGINES) {
    const { status } = await node.get('pod', to, '-n', 'shop');
    assert.doesNotMatch(await call('stranger', `${to}.shop`), new RegExp(`^${to}$`, 'm'));
    assert.doesNotMatch(await call('stranger', `${status.podIP}:8080`), new RegExp(`^${to}$`, 'm'));
  }
});

test('the seed: Redis is refused under REGISTRY_ONLY, allowed by its ServiceEntry, and then reached through the egress gateway', {
  skip,
  timeout: 300_000,
}, async (t) => {
  for (const engine of ENGINES) {
    await node.delete('pod', `busybox-${engine}`);
    await node.apply(injected(pod(`busybox-${engine}`), '--engine', engine));
  }
  for (const engine of ENGINES) await node.ready(`busybox-${engine}`);
  const both = async (what: string, isSo: (said: string) => boolean) => {
    for (const engine of ENGINES) await node.until(`${engine}: ${what}`, () => telnet(`busybox-${engine}`), isSo);
  };

  await t.test('REGISTRY_ONLY refuses it at once', () => both('is refused', refused));
  await t.test('ALLOW_ANY lets it out', async () => {
    await node.install('meshConfig.outboundTrafficPolicy.mode=ALLOW_ANY');
    await both('connects', connects);
    await node.install();
    await both('is refused again', refused);
  });
  await t.test('its ServiceEntry lets it out', async () => {
    await node.apply(seed('redis-1-serviceentry.yaml'));
    await both('connects', connects);
  });
  await t.test('it leaves through the egress gateway, and by no other way', async () => {
    await node.kubectl(['apply', '-f', join(import.meta.dirname, '../../deploy/egress-gateway.yaml')]);
    const port = [{ op: 'add', path: '/spec/ports/-', value: { name: 'tcp-redis', port: 6379 } }];
    await node.kubectl(['-n', 'istio-system', 'patch', 'service', 'istio-egressgateway', '--type=json', `-p=${JSON.stringify(port)}`]);
    await node.nameServices();
    await node.kubectl(['-n', 'istio-system', 'rollout', 'status', 'deployment/istio-egressgateway', '--timeout=90s']);
    await node.apply(seed('redis-3-egress.yaml'));
    const gateways = (await node.get('pods', '-n', 'istio-system', '-l', 'istio=egressgateway')).items.map(
      ({ status }: { status: { podIP: string } }) => status.podIP,
    );
    for (const engine of ENGINES)
      await node.until(
        `${engine}: through one of ${gateways}`,
        () => seenFrom(`busybox-${engine}`),
        (seen) => gateways.includes(seen),
      );
    await node.kubectl(['-n', 'istio-system', 'scale', 'deployment/istio-egressgateway', '--replicas=0']);
    await both('fails without the gateway', (said) => !connects(said));
  });
});

/** The address from which Redis sees the pod. */
async function seenFrom(name: string): Promise<string> {
  const said = await node.speak(name, ['telnet', REDIS, '6379'], 'CLIENT LIST\r\n', /cmd=client/);
  return / addr=([\d.]+):\d+ .*cmd=client/.exec(said)?.[1] ?? '';
}

test('nothing of a pod gets out before its proxy holds, be it of the application or of an init container', {
  skip,
  timeout: 240_000,
}, async () => {
  await node.delete('serviceentries,gateways.networking.istio.io,virtualservices', '--all', '-n', 'default');
  // As often as it can, from its first moment on.
  const attempt = (times: number) => ['sh', '-c', `for i in $(seq ${times}); do echo QUIT | nc -w 1 ${REDIS} 6379; done; exit 0`];
  const eager = (name: string) =>
    pod(name, {
      initContainers: [{ name: 'early', image: CLIENT_IMAGE, command: attempt(10) }],
      containers: [{ name: 'app', image: CLIENT_IMAGE, command: attempt(20) }],
      restartPolicy: 'Never',
    });
  const done = (name: string) => node.kubectl(['wait', '--for=jsonpath={.status.phase}=Succeeded', `pod/${name}`, '--timeout=90s']);
  const before = await received();
  await node.apply(JSON.stringify(eager('eager-plain')));
  await done('eager-plain');
  const without = await received();
  assert.ok(without - before > 25, 'a pod without a proxy gets through: the attempt works');
  for (const engine of ENGINES) {
    await node.apply(injected(eager(`eager-${engine}`), '--engine', engine));
    await done(`eager-${engine}`);
  }
  // Asking is a connection as well.
  assert.equal((await received()) - without, 1);
});

test('uninstalled, pods go on as they were: what was allowed is, and nothing else', { skip, timeout: 240_000 }, async () => {
  await node.apply(seed('redis-1-serviceentry.yaml'));
  for (const engine of ENGINES) await node.until(`${engine}: connects`, () => telnet(`busybox-${engine}`), connects);
  await node.helm(['uninstall', 'sallyport', '--namespace', 'istio-system', '--wait']);
  for (const engine of ENGINES) {
    assert.match(await telnet(`busybox-${engine}`), /\+PONG/, engine);
    assert.doesNotMatch(await node.shell(`busybox-${engine}`, `echo PING | nc -w 5 ${OTHER} 6379`), /PONG/, engine);
  }
  // The CA and the roots stay: what comes next goes on with them.
  assert.ok(await node.get('secret', 'sallyport-ca', '-n', 'istio-system'));
  assert.ok(await node.get('configmap', 'istio-ca-root-cert', '-n', 'default'));
});
