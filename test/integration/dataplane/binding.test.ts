/**
 * Destination binding: each pair of what a call says of its destination, through a sidecar, the resources of `run` and a gateway; explain says the same.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { snapshotFromText } from '../../../src/config/memory.ts';
import { allowedResources, parseAllowed } from '../../../src/policy/allow.ts';
import { simulateFiles } from '../../../src/prove/simulated.ts';
import { OTHER_IPS } from '../../../src/simulate/cells.ts';
import { explore } from '../../../src/simulate/explore.ts';
import { meshConfigOf } from '../../support/mesh.ts';
import {
  ADDRESSES,
  type Backends,
  backends,
  entries,
  explained,
  gatewayText,
  hostileDns,
  type Mesh,
  type Outcome,
  outcomeOf,
  running,
  type Said,
  tunnel,
  viaGateway,
} from './binding-support.ts';
import { folder, logged } from './support.ts';

/** `a` and `b`: names of two declared hosts; `@a`: the address of the first; `:own` and `:other`: the port that is called, and another declared one. */
const HTTP_ROWS: readonly (readonly [asked: string, host: string, later: string | undefined, Outcome])[] = [
  ['a', 'a', undefined, 'carried'],
  ['a', 'a:own', undefined, 'carried'],
  ['a', 'A', undefined, 'carried'],
  ['a', 'b', undefined, 'refused'],
  ['a', 'a:other', undefined, 'refused'],
  ['a', '@b', undefined, 'refused'],
  ['a', 'a', 'a', 'carried'],
  ['a', 'a', 'b', 'refused'],
  ['@a', 'a', undefined, 'carried'],
  ['@a', 'b', undefined, 'refused'],
  ['@a', 'a', 'b', 'refused'],
];

const MATRIX: readonly (readonly [Said, Outcome])[] = [
  ...(['HTTP/1.1', 'HTTP/2'] as const).flatMap((protocol) =>
    HTTP_ROWS.map(([asked, host, later, outcome]) => [{ protocol, asked, host, later }, outcome] as const),
  ),
  [{ protocol: 'TLS', asked: 'a', sni: 'a' }, 'carried'],
  [{ protocol: 'TLS', asked: 'a', sni: 'b' }, 'refused'],
  [{ protocol: 'TLS', asked: 'a', sni: 'undeclared.example' }, 'refused'],
  [{ protocol: 'TLS', asked: 'a', sni: '' }, 'refused'],
  [{ protocol: 'TLS', asked: '@a', sni: 'a' }, 'carried'],
  [{ protocol: 'TLS', asked: '@a', sni: 'b' }, 'refused'],
  [{ protocol: 'TCP', asked: 'a' }, 'carried'],
  [{ protocol: 'TCP', asked: '@a' }, 'carried'],
];

/** Makes each call by CONNECT and by SOCKS5, and asks what explain says of it. */
async function matrix(t: TestContext, mesh: Mesh, expected: (row: Said, bound: Outcome) => Outcome): Promise<void> {
  const wrong: string[] = [];
  for (const [row, bound] of MATRIX) {
    const wanted = expected(row, bound);
    const said = mesh.named(row);
    const text = JSON.stringify(said);
    for (const way of ['CONNECT', 'SOCKS5'] as const) {
      const found = await outcomeOf(await tunnel(t, mesh.port, way, said.asked, said.port), said);
      if (found !== wanted) wrong.push(`${way} ${text}: ${found}`);
    }
    const foretold = explained(mesh, said);
    if (foretold !== wanted) wrong.push(`explain ${text}: ${foretold}`);
  }
  assert.deepEqual(wrong, []);
}

test('a sidecar: what is bound is refused where two disagree, by the data plane and by explain', async (t) => {
  const there = await backends(t);
  await matrix(t, await running(t, entries('enforce', there)), (_, bound) => bound);
});

test('unbound, and in mode audit, every call of declared hosts is carried as Istio carries it', async (t) => {
  const there = await backends(t);
  for (const mode of ['off', 'audit']) await matrix(t, await running(t, entries(mode, there)), () => 'carried');
});

test('in mode audit the access log says which two disagree', async (t) => {
  const there = await backends(t);
  const accessLogFile = join(folder(t), 'log');
  const accessLogFormat = JSON.stringify({ why: '%CONNECTION_TERMINATION_DETAILS%' });
  const settings = { accessLogFile, accessLogFormat, accessLogEncoding: 'JSON' };
  const mesh = await running(t, entries('audit', there), { settings });
  for (const row of [
    { protocol: 'HTTP/1.1', asked: 'a', host: 'b' },
    { protocol: 'TLS', asked: 'a', sni: 'b' },
  ] as const) {
    const said = mesh.named(row);
    const socket = await tunnel(t, mesh.port, 'CONNECT', said.asked, said.port);
    assert.equal(await outcomeOf(socket, said), 'carried');
    socket.destroy();
  }
  const lines = await logged({ plane: mesh.plane }, accessLogFile, 2);
  assert.deepEqual(
    lines.map(({ why }) => why),
    ['Host', 'SNI'].map((what) => `binding_audit{${what}_b.example_and_the_destination_asked_for_a.example_disagree}`),
  );
});

test('calls that stand for others reach what they did, and none of them is undecided', async (t) => {
  const there = await backends(t);
  const reached = (mode: string) => {
    const files = simulateFiles(snapshotFromText(entries(mode, there)), meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
    const { calls, undecided } = explore(files.simulated, files.proxy('default/local'), { ip: '10.0.0.1', port: 0 });
    const outcomes = [...calls].flatMap(({ traces }) => traces.map(({ outcome }) => outcome));
    assert.deepEqual([...undecided, ...outcomes.filter(({ kind }) => kind === 'undecided')], []);
    return new Set(outcomes.flatMap((one) => (one.kind === 'upstream' ? [one.endpoint?.port] : [])));
  };
  assert.deepEqual(reached('enforce'), reached('off'));
});

test('the default of the mesh binds entries that say nothing', async (t) => {
  const there = await backends(t);
  const text = entries('', there).replaceAll(/, annotations: \{[^}]*\}/g, '');
  const settings = { defaultConfig: { proxyMetadata: { SALLYPORT_BIND: 'enforce' } } };
  const mesh = await running(t, text, { settings });
  const said = mesh.named({ protocol: 'HTTP/1.1', asked: 'a', host: 'b' });
  assert.equal(await outcomeOf(await tunnel(t, mesh.port, 'CONNECT', said.asked, said.port), said), 'refused');
});

const allowed = ({ HTTP, TLS, TCP }: Backends, ranges: string): string => {
  const hosts = ['a.example', 'b.example'].flatMap((host) => [`http://${host}:${HTTP}`, `https://${host}:${TLS}`, `tcp://${host}:${TCP}`]);
  return allowedResources(hosts.map((host) => parseAllowed(`${host}${ranges}`)))
    .map((one) => JSON.stringify(one))
    .join('\n---\n');
};

test('what run allows is bound: the same, with names that DNS resolves', async (t) => {
  const there = await backends(t);
  const dns = await hostileDns(t, () => ['127.0.0.1']);
  await matrix(t, await running(t, allowed(there, '=127.0.0.0/8'), { ports: there, dns }), (_, bound) => bound);
});

test('a name that leads to an address that is not public is refused after it was looked up, unless its range is declared', async (t) => {
  const there = await backends(t);
  let answers: string[] = [];
  const dns = await hostileDns(t, () => answers);
  const private_ = ['127.0.0.1', '10.0.0.1', '169.254.169.254', '0.0.0.0', '100.64.0.1', '224.0.0.1'];
  for (const ips of [...private_.map((ip) => [ip]), private_]) {
    answers = ips;
    const mesh = await running(t, allowed(there, ''), { ports: there, dns });
    const said = mesh.named({ protocol: 'HTTP/1.1', asked: 'a', host: 'a' });
    const socket = await tunnel(t, mesh.port, 'CONNECT', said.asked, said.port);
    await assert.rejects(outcomeOf(socket, said), /503/, `${ips}`);
  }
});

test('a gateway that ends TLS: SNI and every Host of the connection agree', async (t) => {
  const there = await backends(t);
  const rows: readonly (readonly [sni: string, hosts: readonly string[], Outcome])[] = [
    ['a.example', ['a.example'], 'carried'],
    ['a.example', ['b.example'], 'refused'],
    ['a.example', ['a.example', 'b.example'], 'refused'],
    ['b.example', ['b.example', 'b.example'], 'carried'],
    ['a.example', ['a.example:443'], 'carried'],
    ['a.example', ['a.example:8443'], 'refused'],
  ];
  for (const mode of ['enforce', 'audit']) {
    const at = await viaGateway(t, gatewayText(there) + entries(mode, there));
    for (const protocol of ['HTTP/1.1', 'HTTP/2'] as const) {
      for (const [sni, hosts, bound] of rows) {
        const found = await at(protocol, sni, hosts);
        assert.equal(found, mode === 'audit' ? 'carried' : bound, `${mode} ${protocol} ${sni} ${hosts}`);
      }
    }
  }
});

test('addresses that stand for any in simulation are none that the matrix uses', () => {
  for (const address of Object.values(ADDRESSES)) assert.ok(!OTHER_IPS.includes(address));
});
