/**
 * The nodes' CNI plugin on a real node: pods of a namespace that lets in what Pod Security calls restricted, whose calls are captured; what becomes of pods
 * while the plugin's DaemonSet is not there, while others write the node's network configuration, and once it is uninstalled.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { labBinary, labFolders } from '../support/lab.ts';
import { CLIENT_IMAGE, KubeNode, needsNode } from './node.ts';

const skip = needsNode();
const DECLARED = '10.59.118.81';
const UNDECLARED = '10.59.118.82';
const ENGINES = ['envoy', 'embedded'] as const;
const BIN = join(labFolders()?.[0] ?? '/', 'usr/lib/cni');
const CONF = join(labBinary('') ?? '/', '../run/cni/net.d');
const PRIMARY = join(CONF, '10-lab.conflist');
const OWN = join(CONF, '0-sallyport-cni.conflist');
const VALUES = ['cni.enabled=true', `cni.binDir=${BIN}`, `cni.confDir=${CONF}`];

const NAMESPACE = `
apiVersion: v1
kind: Namespace
metadata: { name: tight, labels: { istio-injection: enabled, pod-security.kubernetes.io/enforce: restricted } }
`;
const ENTRY = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: redis, namespace: tight }
spec:
  hosts: [redis.example]
  addresses: [${DECLARED}]
  resolution: STATIC
  ports: [{ number: 6379, name: tcp, protocol: TCP }]
  endpoints: [{ address: ${DECLARED} }]
`;

let node: KubeNode;
/** The node's network configuration before the tests. */
let primary: string;

/** As Pod Security's profile restricted asks of whoever writes it. */
function pod(name: string, engine: string, labels: object = {}) {
  const securityContext = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, runAsNonRoot: true, runAsUser: 2000 };
  const container = {
    name: 'app',
    image: CLIENT_IMAGE,
    command: ['sleep', '86400'],
    securityContext: { ...securityContext, seccompProfile: { type: 'RuntimeDefault' } },
  };
  const metadata = { name, labels: { app: name, ...labels }, annotations: { 'sallyport.dev/engine': engine } };
  return JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [container], terminationGracePeriodSeconds: 1 } });
}

const outsider = (name: string) => pod(name, 'envoy', { 'sidecar.istio.io/inject': 'false' });
const ping = (name: string, address: string) => node.shell(name, `echo PING | nc -w 5 ${address} 6379`, 'tight');
const pods = async () =>
  (await node.get('pods', '-n', 'istio-system', '-l', 'app=sallyport-cni')).items as { metadata: { name: string } }[];
const events = (name: string) =>
  node.kubectl(['get', 'events', '-n', 'tight', '--field-selector', `involvedObject.name=${name}`, '-o', 'jsonpath={.items[*].message}']);
const chained = () => JSON.parse(readFileSync(OWN, 'utf8')) as { name: string; plugins: { type: string }[] };

async function make(text: string): Promise<void> {
  const made = () => node.apply(text, '-n', 'tight').catch((error: unknown) => String(error));
  await node.until('the pod is made', made, (said) => said.includes('created'));
}

/** No DaemonSet's pod on the node, and what it made stays: as it is killed and cannot come back. */
async function withoutDaemonSet(meanwhile: () => Promise<void>): Promise<void> {
  const nowhere = (on: string | null) =>
    node.kubectl([
      'patch',
      'daemonset',
      'sallyport-cni',
      '-n',
      'istio-system',
      '-p',
      JSON.stringify({ spec: { template: { spec: { nodeSelector: { nowhere: on } } } } }),
    ]);
  for (const { metadata } of await pods()) await node.kill(metadata.name, 'cni', 'istio-system');
  await nowhere('true');
  await node.until('the DaemonSet has no pod', pods, (all) => all.length === 0);
  try {
    await meanwhile();
  } finally {
    await nowhere(null);
    await node.kubectl(['rollout', 'status', 'daemonset/sallyport-cni', '-n', 'istio-system', '--timeout=90s']);
  }
}

before(
  async () => {
    if (skip) return;
    node = await KubeNode.start();
    primary = readFileSync(PRIMARY, 'utf8');
    for (const address of [DECLARED, UNDECLARED]) await node.address(address);
    await node.outside(
      'redis-server',
      ['--bind', DECLARED, UNDECLARED, '--protected-mode', 'no', '--save', ''],
      /Ready to accept connections/,
    );
    await node.helm(['uninstall', 'sallyport', '--namespace', 'istio-system', '--ignore-not-found', '--wait']);
    await node.delete('namespace', 'tight');
    await node.install(...VALUES);
    await node.apply(NAMESPACE);
    await node.apply(ENTRY);
  },
  { timeout: 240_000 },
);
after(
  async () => {
    if (skip) return;
    try {
      await node.delete('namespace', 'tight');
    } finally {
      await node.stop();
      await node
        .until(
          'the plugin is gone',
          async () => existsSync(OWN),
          (there) => !there,
        )
        .catch(() => rmSync(OWN, { force: true }));
    }
  },
  { timeout: 180_000 },
);

test('pods of a restricted namespace are captured by both engines: a declared host answers, another does not', {
  skip,
  timeout: 240_000,
}, async () => {
  for (const engine of ENGINES) await make(pod(engine, engine));
  await make(outsider('outsider'));
  for (const name of [...ENGINES, 'outsider']) await node.ready(name, 'tight');
  for (const engine of ENGINES) {
    const { spec } = await node.get('pod', engine, '-n', 'tight');
    assert.deepEqual(
      (spec.initContainers as { name: string }[]).map(({ name }) => name),
      ['istio-validation', 'istio-proxy'],
    );
    await node.until(
      `${engine}: connects`,
      () => ping(engine, DECLARED),
      (said) => said.includes('+PONG'),
    );
    assert.doesNotMatch(await ping(engine, UNDECLARED), /PONG/, engine);
    const said = await node.kubectl(['logs', '-n', 'tight', engine, '-c', 'istio-validation']);
    assert.match(said, /captured: TCP \(IPv4\)/);
  }
  assert.match(await ping('outsider', UNDECLARED), /\+PONG/, 'the attempt works');
});

test('while its DaemonSet is killed pods start, and those of the mesh captured; without the plugin they do not run', {
  skip,
  timeout: 300_000,
}, async () => {
  await withoutDaemonSet(async () => {
    await make(pod('meanwhile', 'embedded'));
    await make(outsider('outsider-meanwhile'));
    await node.ready('outsider-meanwhile', 'tight');
    await node.ready('meanwhile', 'tight');
    assert.doesNotMatch(await ping('meanwhile', UNDECLARED), /PONG/);

    // As where the plugin never came: its place in the configuration is gone, or so is what it runs by.
    rmSync(OWN);
    await make(pod('without', 'embedded'));
    await make(outsider('outsider-without'));
    await node.ready('outsider-without', 'tight');
    const message = [
      'get',
      'pod',
      'without',
      '-n',
      'tight',
      '-o',
      'jsonpath={.status.initContainerStatuses[0].lastState.terminated.message}',
    ];
    const why = await node.until(
      'it says why',
      () => node.kubectl(message),
      (said) => said !== '',
    );
    assert.match(why, /TCP to 192\.0\.2\.1 port 9 is not captured: .*does not start.*CNI plugin on this node/s);
    const { status } = await node.get('pod', 'without', '-n', 'tight');
    const started = (status.containerStatuses as { state: { running?: object } }[]).filter(({ state }) => state.running);
    assert.deepEqual([status.phase, started], ['Pending', []]);
  });
  assert.ok(existsSync(OWN));
});

test('a pod of the mesh whose capture fails does not start, and says why', { skip, timeout: 240_000 }, async () => {
  await withoutDaemonSet(async () => {
    const [id] = readdirSync(join(BIN, 'sallyport-cni.d'));
    const program = join(BIN, 'sallyport-cni.d', id!, 'xtables-nft-multi');
    renameSync(program, `${program}.away`);
    await make(pod('broken', 'envoy'));
    await make(outsider('outsider-broken'));
    await node.ready('outsider-broken', 'tight');
    await node.until(
      'it says why',
      () => events('broken'),
      (said) => /pod tight\/broken: its traffic cannot be captured, so it does not start/.test(said),
    );
    renameSync(`${program}.away`, program);
    // The kubelet tries again.
    await node.ready('broken', 'tight');
    assert.doesNotMatch(await ping('broken', UNDECLARED), /PONG/);
  });
});

test('the network’s configuration that another writes anew keeps the plugin at its end', { skip, timeout: 240_000 }, async () => {
  const half = join(CONF, 'half');
  const rewrite = (text: string) => {
    writeFileSync(half, text);
    renameSync(half, PRIMARY);
  };
  rewrite(JSON.stringify({ ...JSON.parse(primary), disableCheck: true }));
  try {
    await node.until(
      'it is chained anew',
      async () => readFileSync(OWN, 'utf8'),
      (text) => text.includes('disableCheck'),
    );
    rmSync(OWN);
    await node.until('it comes back', async () => existsSync(OWN), Boolean);
    assert.equal(chained().plugins.at(-1)!.type, 'sallyport-cni');
    await make(pod('rewritten', 'embedded'));
    await node.ready('rewritten', 'tight');
    assert.doesNotMatch(await ping('rewritten', UNDECLARED), /PONG/);
  } finally {
    rewrite(primary);
  }
});

test('uninstalled, it leaves nothing on the node, and pods start', { skip, timeout: 240_000 }, async () => {
  await node.helm(['uninstall', 'sallyport', '--namespace', 'istio-system', '--wait']);
  await node.until(
    'the plugin is gone',
    async () => [...readdirSync(CONF), ...readdirSync(BIN)].filter((name) => name.includes('sallyport')),
    (left) => left.length === 0,
  );
  assert.equal(readFileSync(PRIMARY, 'utf8'), primary);
  await make(outsider('afterwards'));
  await node.ready('afterwards', 'tight');
  assert.match(await ping('afterwards', UNDECLARED), /\+PONG/);
  // What was captured stays so.
  for (const engine of ENGINES) assert.doesNotMatch(await ping(engine, UNDECLARED), /PONG/);
  await node.delete('pod', 'outsider', '-n', 'tight');
});
