/** DNS capture in injected pods on a real node, by both engines: names that no cluster DNS has, and names that must not be asked of it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { imageName } from '../../scripts/image.ts';
import { KubeNode, needsNode } from './node.ts';

const skip = needsNode();
const ENGINES = ['envoy', 'embedded'] as const;
/** Two servers with one port, and what either has. */
const SERVERS = { orders: '10.59.118.71', stock: '10.59.118.72' } as const;
/** The cluster's DNS has a name for it that nobody declares, and one that a wildcard does. */
const OTHER = '10.59.118.73';
const NAMES = [
  ...['--local=/db.example/', `--address=/undeclared.example/${OTHER}`, `--address=/wild.example/${OTHER}`],
  ...['orders.db', 'undeclared'].map((host) => `--srv-host=_redis._tcp.${host}.example,${host}.example,6379`),
  // Of the Service kube-dns, which the mesh has, and of an address that it has not.
  ...['--ptr-record=10.0.96.10.in-addr.arpa,kube-dns.example', '--ptr-record=73.118.59.10.in-addr.arpa,undeclared.example'],
  ...['orders.db', 'undeclared'].map((host) => `--txt-record=${host}.example,text of ${host}`),
];

const entry = (name: string, address: string) => `
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: default }
spec:
  hosts: [${name}.db.example]
  resolution: STATIC
  ports: [{ number: 6379, name: tcp, protocol: TCP }]
  endpoints: [{ address: ${address} }]
`;
const WILDCARD = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: wild, namespace: default }
spec:
  hosts: ["*.wild.example"]
  resolution: NONE
  ports: [{ number: 443, name: tls, protocol: TLS }]
`;

/** Looks names up as libc does, and asks Redis there; writes what came of it as a line. */
const CLIENT = `
const [what, name] = process.argv.slice(1);
const say = (text) => { console.log(text); process.exit(); };
const failed = ({ code }) => say(code);
if (what === 'lookup') require('dns').lookup(name, 4, (error, address) => say(error ? error.code : address));
else if (what === 'srv') require('dns').resolveSrv(name, (error, all) => say(error ? error.code : all.map((one) => one.name + ':' + one.port).join()));
else if (what === 'ptr' || what === 'txt')
  require('dns')[what === 'ptr' ? 'resolvePtr' : 'resolveTxt'](name, (error, all) => say(error ? error.code : all.join()));
else if (what === 'over-tcp') {
  const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
  const question = Buffer.from([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]);
  require('net').connect(53, '${OTHER}').on('error', failed).on('data', (answer) => say('code ' + (answer[5] & 15)))
    .write(Buffer.concat([Buffer.from([0, question.length]), question]));
} else {
  const client = require('net').connect(6379, name).setTimeout(5000, () => say('late'));
  client.on('error', failed).on('close', () => say('closed')).write('GET who\\r\\n');
  client.on('data', (text) => say(String(text).split('\\r\\n')[1] ?? ''));
}
`;

const CAPTURED = { 'proxy.istio.io/config': 'proxyMetadata: { ISTIO_META_DNS_CAPTURE: "true" }' };

let node: KubeNode;

function pod(name: string, annotations: object) {
  const securityContext = { runAsUser: 2000 };
  const command = ['node', '-e', "process.on('SIGTERM', () => process.exit()); setInterval(() => {}, 1e6)"];
  const containers = [{ name: 'app', image: imageName(), imagePullPolicy: 'Never', command, securityContext }];
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { 'sidecar.istio.io/inject': 'true' }, annotations },
    spec: { containers },
  });
}

const by = (engine: string) => ({ 'sallyport.dev/engine': engine });
const ask = async (name: string, ...args: readonly string[]) =>
  (await node.kubectl(['exec', name, '-c', 'app', '--', 'node', '-e', CLIENT, ...args])).trim();

before(
  async () => {
    if (skip) return;
    node = await KubeNode.start(NAMES);
    for (const address of [...Object.values(SERVERS), OTHER]) await node.address(address);
    for (const [name, address] of Object.entries(SERVERS)) {
      await node.outside('redis-server', ['--bind', address, '--protected-mode', 'no', '--save', ''], /Ready to accept connections/);
      await node.ask('redis-cli', '-h', address, 'set', 'who', name);
    }
    await node.helm(['uninstall', 'sallyport', '--namespace', 'istio-system', '--ignore-not-found', '--wait']);
    await node.install();
    await node.apply(
      `${Object.entries(SERVERS)
        .map(([name, address]) => entry(name, address))
        .join('')}---${WILDCARD}`,
    );
    const made = (name: string, annotations: object) => async () =>
      node.apply(pod(name, annotations)).catch((error: unknown) => String(error));
    for (const engine of ENGINES)
      await node.until('the pod is made', made(engine, { ...by(engine), ...CAPTURED }), (said) => said.includes('created'));
    await node.apply(pod('uncaptured', by('embedded')));
    for (const name of [...ENGINES, 'uncaptured']) await node.ready(name);
  },
  { timeout: 240_000 },
);
after(
  async () => {
    if (skip) return;
    try {
      await node.delete('pod', '--all', '-n', 'default', '--grace-period=1');
      await node.delete('serviceentries', '--all', '-n', 'default');
    } finally {
      await node.stop();
    }
  },
  { timeout: 120_000 },
);

test('a host that no DNS has is reached by its name, and two with one port are told apart', { skip, timeout: 120_000 }, async () => {
  assert.equal(await ask('uncaptured', 'lookup', 'orders.db.example'), 'ENOTFOUND');
  for (const engine of ENGINES) {
    const addresses = new Set<string>();
    for (const name of Object.keys(SERVERS)) {
      const address = await ask(engine, 'lookup', `${name}.db.example`);
      assert.match(address, /^240\.240\./, engine);
      addresses.add(address);
      assert.equal(await ask(engine, 'call', `${name}.db.example`), name, engine);
    }
    assert.equal(addresses.size, 2);
  }
});

test('a name that nobody declares does not exist, whatever server is asked and how; one under a wildcard is the cluster’s to answer', {
  skip,
  timeout: 120_000,
}, async () => {
  const NXDOMAIN = 'code 3';
  assert.equal(await ask('uncaptured', 'lookup', 'undeclared.example'), OTHER);
  for (const engine of ENGINES) {
    assert.equal(await ask(engine, 'lookup', 'undeclared.example'), 'ENOTFOUND', engine);
    assert.equal(await ask(engine, 'over-tcp', 'undeclared.example'), NXDOMAIN, engine);
    assert.equal(await ask(engine, 'over-tcp', 'orders.db.example'), 'code 0', engine);
    assert.equal(await ask(engine, 'lookup', 'a.wild.example'), OTHER, engine);
  }
});

test('SRV, PTR and TXT go on to the cluster’s DNS where the host or the address is declared, and nowhere else', {
  skip,
  timeout: 120_000,
}, async () => {
  const questions = [
    ['srv', '_redis._tcp.orders.db.example', 'orders.db.example:6379'],
    ['srv', '_redis._tcp.undeclared.example', 'undeclared.example:6379'],
    ['ptr', '10.0.96.10.in-addr.arpa', 'kube-dns.example'],
    ['ptr', '73.118.59.10.in-addr.arpa', 'undeclared.example'],
    ['txt', 'orders.db.example', 'text of orders.db'],
    ['txt', 'undeclared.example', 'text of undeclared'],
  ] as const;
  for (const [what, name, said] of questions) {
    assert.equal(await ask('uncaptured', what, name), said, 'the cluster’s DNS knows it');
    for (const engine of ENGINES)
      assert.equal(
        await ask(engine, what, name),
        said.startsWith('undeclared') || said.endsWith('undeclared') ? 'ENOTFOUND' : said,
        `${engine}: ${name}`,
      );
  }
});

test('what is declared, and undeclared, while pods run', { skip, timeout: 120_000 }, async () => {
  await node.apply(entry('late', SERVERS.stock));
  for (const engine of ENGINES)
    await node.until(
      `${engine}: is found`,
      () => ask(engine, 'call', 'late.db.example'),
      (said) => said === 'stock',
    );
  await node.delete('serviceentry', 'late');
  for (const engine of ENGINES)
    await node.until(
      `${engine}: is gone`,
      () => ask(engine, 'lookup', 'late.db.example'),
      (said) => said === 'ENOTFOUND',
    );
});
