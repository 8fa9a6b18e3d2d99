/** NetworkPolicies that `sallyport netpol --kube` prints, on a real node that enforces them: each way round the gateway before and after, and what must go on. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { PROGRAM } from '../integration/cli/program.ts';
import { labBinary, SHARED } from '../support/lab.ts';
import { CLIENT_IMAGE, KubeNode, needsNode } from './node.ts';

const skip = needsNode();
const run = promisify(execFile);
/** The seed's, declared and led through the gateway. */
const REDIS = '10.59.118.59';
/** Declared nowhere: redis, and a name server. */
const OUTSIDE = '198.51.100.59';
const PROBE = `echo PING | nc -w 3 ${OUTSIDE} 6379`;
const seed = (name: string) => readFileSync(join(SHARED, 'seeds', name), 'utf8');
const app = (more: object = {}) => ({ name: 'app', image: CLIENT_IMAGE, command: ['sleep', '86400'], ...more });
const early = (command: string) => ({
  name: 'early',
  image: CLIENT_IMAGE,
  command: ['sh', '-c', command],
  securityContext: { runAsUser: 1337 },
});

function pod(name: string, spec: object = {}, annotations: object = {}, labels: object = {}): string {
  const metadata = { name, labels: { app: name, ...labels }, annotations };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: { containers: [app()], terminationGracePeriodSeconds: 1, ...spec },
  });
}

const BARE = { 'sidecar.istio.io/inject': 'false' };
/** The pods that go round the gateway, by what they are for. */
const WAYS: Readonly<Record<string, string>> = {
  bare: pod('bare', {}, {}, BARE),
  proxys: pod('proxys', { containers: [app({ securityContext: { runAsUser: 1337 } })] }),
  port: pod('port', {}, { 'traffic.sidecar.istio.io/excludeOutboundPorts': '6379' }),
  range: pod('range', {}, { 'traffic.sidecar.istio.io/excludeOutboundIPRanges': `${OUTSIDE}/32` }),
};
const CAPTURED = pod('captured', {
  containers: [
    app({
      command: ['sh', '-c', 'mkdir -p /tmp/www && echo served >/tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www'],
      readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 },
    }),
  ],
});
const WAYS_SERVICE = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'captured' },
  spec: { selector: { app: 'captured' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
});

let node: KubeNode;
let policies = '';

/** What the command writes, whatever it finds. */
async function sallyport(...args: readonly string[]): Promise<string> {
  const kubeconfig = join(labBinary('')!, '../run/pki/admin.kubeconfig');
  const env = { ...process.env, KUBECONFIG: kubeconfig };
  const command = ['--net=/run/netns/spkube', process.execPath, PROGRAM, ...args];
  return run('nsenter', command, { env, maxBuffer: 64 * 1024 * 1024 }).then(
    ({ stdout }) => stdout,
    (error: { stdout?: string; stderr?: string }) => `${error.stdout}${error.stderr}`,
  );
}

const leaves = async (name: string, namespace = 'ways') => (await node.shell(name, PROBE, namespace)).includes('PONG');
const asks = async (name: string) =>
  (await node.shell(name, `timeout 5 nslookup outside.example ${OUTSIDE}`, 'ways')).includes('198.51.100.1');
/** Of the init container, which tries until it is refused, at most so often. */
const initially = async (name: string): Promise<string> => {
  const { status } = await node.get('pod', name, '-n', 'ways');
  const all: { name: string; state: { terminated?: { message?: string } } }[] = status.initContainerStatuses;
  return all.find((each) => each.name === 'early')?.state.terminated?.message?.trim() ?? 'nothing';
};
const initPod = (name: string, most: number) => {
  const command = `for i in $(seq ${most}); do if ${PROBE} | grep -q PONG; then said=open; else said=closed; fi; echo $said >/dev/termination-log; [ $said = closed ] && exit 0; done; exit 0`;
  return pod(name, { initContainers: [early(command)] });
};
async function made(text: string, namespace: string): Promise<void> {
  const apply = () => node.apply(text, '-n', namespace).catch((error: unknown) => String(error));
  await node.until('it is made', apply, (said) => /created|configured|unchanged/.test(said));
}

before(
  async () => {
    if (skip) return;
    node = await KubeNode.start();
    for (const address of [REDIS, OUTSIDE]) await node.address(address);
    await node.outside('redis-server', ['--bind', REDIS, OUTSIDE, '--protected-mode', 'no', '--save', ''], /Ready to accept connections/);
    const names = [`--listen-address=${OUTSIDE}`, '--bind-interfaces', '--address=/outside.example/198.51.100.1'];
    await node.outside(
      'dnsmasq',
      ['--keep-in-foreground', '--no-resolv', '--no-hosts', '--pid-file=', '--log-facility=-', ...names],
      /started/,
    );
    await node.helm(['uninstall', 'sallyport', '--namespace', 'istio-system', '--ignore-not-found', '--wait']);
    await node.delete('namespace', 'ways');
    await node.install();
    await node.apply('apiVersion: v1\nkind: Namespace\nmetadata: { name: ways, labels: { istio-injection: enabled } }');
    for (const text of [...Object.values(WAYS), CAPTURED, initPod('init-before', 3), pod('node', { hostNetwork: true })])
      await made(text, 'ways');
    await made(WAYS_SERVICE, 'ways');
    await made(pod('neighbour', {}, {}, BARE), 'istio-system');
    await node.kubectl(['apply', '-f', join(import.meta.dirname, '../../deploy/egress-gateway.yaml')]);
    const port = [{ op: 'add', path: '/spec/ports/-', value: { name: 'tcp-redis', port: 6379 } }];
    await node.kubectl(['-n', 'istio-system', 'patch', 'service', 'istio-egressgateway', '--type=json', `-p=${JSON.stringify(port)}`]);
    await node.nameServices();
    await node.apply(`${seed('redis-1-serviceentry.yaml')}\n---\n${seed('redis-3-egress.yaml')}`);
    await node.kubectl(['-n', 'istio-system', 'rollout', 'status', 'deployment/istio-egressgateway', '--timeout=90s']);
    for (const name of [...Object.keys(WAYS), 'captured', 'init-before', 'node']) await node.ready(name, 'ways');
    await node.ready('neighbour', 'istio-system');
  },
  { timeout: 280_000 },
);
after(
  async () => {
    if (skip) return;
    try {
      if (policies !== '') await node.kubectl(['delete', '--ignore-not-found', '-f', '-'], policies);
      await node.delete('serviceentries,gateways.networking.istio.io,virtualservices', '--all', '-n', 'default');
      await node.delete('-f', join(import.meta.dirname, '../../deploy/egress-gateway.yaml'));
      await node.delete('pod', 'neighbour', '-n', 'istio-system');
      await node.delete('namespace', 'ways');
    } finally {
      await node.stop();
    }
  },
  { timeout: 120_000 },
);

/** By the gateway alone: what is declared. */
async function throughGateway(): Promise<boolean> {
  const said = await node.shell('captured', `(echo CLIENT LIST; echo QUIT) | nc -w 5 ${REDIS} 6379`, 'ways');
  const { items } = await node.get('pods', '-n', 'istio-system', '-l', 'istio=egressgateway');
  return items.some(({ status }: { status: { podIP: string } }) => said.includes(` addr=${status.podIP}:`));
}

const verdicts = () => sallyport('verify', '--kube', '--cluster-cidr', '10.244.0.0/16', '--cluster-cidr', '10.96.0.0/16');

test('without policies each way round the gateway is open, the captured one closed, and verify says so', {
  skip,
  timeout: 200_000,
}, async () => {
  for (const name of Object.keys(WAYS)) assert.ok(await leaves(name), name);
  for (const name of ['bare', 'proxys', 'captured']) assert.ok(await asks(name), `UDP from ${name}`);
  assert.equal(await initially('init-before'), 'open');
  assert.ok(await leaves('node'), 'hostNetwork');
  assert.ok(await leaves('neighbour', 'istio-system'), 'neighbour of the gateway');
  assert.ok(!(await leaves('captured')));
  await node.until('through the gateway', throughGateway, Boolean);
  const said = await verdicts();
  assert.match(said, /^REFUTED \(bypassing/m);
  assert.match(said, / connects? to 203\.0\.113\.1, any port, past its sidecar: no NetworkPolicy restricts its egress$/m);
});

test('with the policies that netpol prints each of them is closed but the node’s own network, which it names', {
  skip,
  timeout: 200_000,
}, async (t) => {
  policies = await sallyport('netpol', '--kube');
  assert.match(
    policies,
    /^# Not closed: no NetworkPolicy holds a node itself, nor a pod on its network \(hostNetwork\)\. Now: ways\/node\./m,
  );
  await node.apply(policies);
  for (const name of Object.keys(WAYS))
    await node.until(
      `${name} is closed`,
      () => leaves(name),
      (open) => !open,
    );
  for (const name of ['bare', 'proxys', 'captured']) assert.ok(!(await asks(name)), `UDP from ${name}`);
  assert.ok(!(await leaves('neighbour', 'istio-system')), 'neighbour of the gateway');
  await made(initPod('init-after', 40), 'ways');
  await node.ready('init-after', 'ways');
  assert.equal(await initially('init-after'), 'closed');
  assert.ok(await leaves('node'), 'hostNetwork');
  t.diagnostic('IPv6: the lab’s pods have no address but of their link');
});

test('what must go on does: DNS, API server, control plane, webhook, probes, the mesh, the gateway', {
  skip,
  timeout: 250_000,
}, async () => {
  assert.match(await node.shell('bare', 'timeout 5 nslookup kubernetes.default.svc.cluster.local 10.96.0.10', 'ways'), /10\.96\.0\.1\b/);
  assert.match(await node.shell('bare', "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 10.96.0.1 443", 'ways'), /HTTPS server/);
  // A new controller has to list everything before it is ready; so has a new gateway, whose pods have another hash.
  for (const name of ['sallyport-controller', 'istio-egressgateway']) {
    await node.kubectl(['-n', 'istio-system', 'rollout', 'restart', `deployment/${name}`]);
    await node.kubectl(['-n', 'istio-system', 'rollout', 'status', `deployment/${name}`, '--timeout=90s']);
  }
  await made(CAPTURED.replaceAll('"captured"', '"later"'), 'ways');
  await node.ready('later', 'ways');
  const service = (await node.get('service', 'captured', '-n', 'ways')).spec.clusterIP;
  // The connection stays open until the answer is there: a proxy takes a client that has said its last for one that is gone.
  const request = 'GET / HTTP/1.1\r\nHost: captured.ways\r\nConnection: close\r\n\r\n';
  const get = () => node.speak('later', ['nc', service, '80'], request, /served/, 'ways');
  await node.until('a call within the mesh', get, (said) => said.includes('served'));
  await node.until('through the gateway', throughGateway, Boolean);
});

test('verify agrees: refuted by the pod on its node’s network alone, and proved without it', { skip, timeout: 120_000 }, async () => {
  const said = await verdicts();
  assert.match(said, /^REFUTED \(bypassing.*\n {2}ways\/node connects to anything: it is on the network of its node/m);
  assert.doesNotMatch(said, /ways\/(?:bare|port|range|proxys)/);
  await node.delete('pod', 'node', '-n', 'ways');
  const closed = await verdicts();
  assert.match(closed, /^PROVED \(bypassing/m, closed);
  assert.match(closed, /^PROVED \(captured/m, closed);
});
