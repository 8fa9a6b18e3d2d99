import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTarget } from '../simulate/call.ts';
import { originated } from '../simulate/testing.ts';
import type { Hop, Sent, Trace } from '../simulate/trace.ts';
import type { Arrival } from '../simulate/verify.ts';
import { onlyThroughGateways, type StatementFile, statementOf } from './statements.ts';

interface Arrived extends Partial<Sent> {
  readonly cluster?: string;
  readonly proxy?: string;
}

/** What arrived at `host` outside the mesh, by the cluster of the last proxy. */
function arrivalAt(host: string, { cluster = `outbound|443||${host}`, proxy = 'default/app', ...more }: Arrived = {}): Arrival {
  const { payload, port } = parseTarget('https://unsaid.example/');
  const sent: Sent = { endpoint: undefined, host, port, payload, dialled: false, anyAddress: false, originates: undefined, ...more };
  const hop: Hop = { proxy, protocol: 'tcp', steps: [], cluster, copy: false, flag: '', next: sent };
  return { host, endpoint: sent.endpoint, through: proxy, trace: { hops: [hop], outcome: { kind: 'upstream', ...sent } } };
}

const PLAIN = parseTarget('http://unsaid.example/').payload;
const statement = (entry: StatementFile) => statementOf(entry, 'test', () => false);

test('only through gateways: the last proxy counts', () => {
  const { allows } = onlyThroughGateways((name) => name === 'istio-system/egress');
  assert.ok(allows(arrivalAt('a.example', { proxy: 'istio-system/egress' }), ['default/app']));
  assert.ok(!allows(arrivalAt('a.example'), ['default/app']));
});

test('only through gateways: what is undecided at a gateway, or on the way into one, does not leave past it', () => {
  const { allowsAll } = onlyThroughGateways((name) => name === 'istio-system/egress' || name === 'outbound|80||egress');
  const at = (proxy: string, cluster: string): Trace => ({
    hops: [{ proxy, cluster, protocol: 'http', steps: [], copy: false, flag: '', next: undefined }],
    outcome: { kind: 'undecided', details: '' },
  });
  assert.ok(allowsAll!(at('istio-system/egress', '')));
  assert.ok(allowsAll!(at('default/app', 'outbound|80||egress')));
  assert.ok(!allowsAll!(at('default/app', 'outbound|80||a.example')));
  assert.ok(!allowsAll!({ hops: [], outcome: { kind: 'undecided', details: '' } }));
});

test('only workloads: all that make the call have to be among them', () => {
  const { allows, hosts } = statement({ onlyWorkloads: { host: 'API.example.com', workloads: ['pay/a', 'pay/b'] } });
  const arrival = arrivalAt('api.example.com');
  assert.deepEqual(hosts, ['api.example.com']);
  assert.ok(allows(arrival, ['pay/a', 'pay/b']));
  assert.ok(!allows(arrival, ['pay/a', 'default/c']));
  assert.ok(allows(arrivalAt('www.example.com'), ['default/c']));
});

test('a host is concerned by its name, by the service that took the call, and where it may be any', () => {
  const { allows } = statement({ onlyWorkloads: { host: '*.example.com', workloads: [] } });
  const concerned = (...given: Parameters<typeof arrivalAt>) => !allows(arrivalAt(...given), ['default/app']);
  assert.ok(concerned('api.example.com'));
  assert.ok(concerned('API.Example.com'));
  assert.ok(!concerned('example.com'));
  assert.ok(concerned('192.0.2.7', { cluster: 'outbound|443||api.example.com' }), 'a service with addresses of its own');
  assert.ok(concerned('api.example.com', { cluster: 'outbound|443||*.com' }));
  assert.ok(concerned('x', { cluster: 'outbound_.443_._.api.example.com' }), 'a cluster that SNI names');
  // Bytes without a name.
  assert.ok(concerned('', { cluster: 'PassthroughCluster' }));
  assert.ok(concerned('', { cluster: 'outbound|443||*.com' }), 'a wildcard under which the host is');
  assert.ok(!concerned('', { cluster: 'outbound|443||api.example.org' }));
  assert.ok(concerned('', { cluster: 'outbound|443||api.example.org', anyAddress: true }));
});

test('only TLS: what leaves is TLS, and where a proxy originates it, verified as asked', () => {
  const { allows } = statement({ onlyTls: { host: 'api.example.com' } });
  const verified = statement({ onlyTls: { host: 'api.example.com', verified: true } });
  const at = (more: Arrived) => arrivalAt('api.example.com', more);
  assert.ok(!allows(at({ payload: PLAIN }), []));
  assert.ok(allows(at({}), []));
  assert.ok(allows(at({ originates: originated('nothing') }), []));
  assert.ok(allows(arrivalAt('www.example.com', { payload: PLAIN }), []));
  assert.ok(!verified.allows(at({ originates: originated('nothing') }), []));
  assert.ok(!verified.allows(at({ originates: originated('chain') }), []));
  const named = (name: string) => at({ originates: { ...originated('name'), names: [[name]] } });
  assert.ok(verified.allows(named('API.example.com'), []));
  assert.ok(!verified.allows(named('other.example.com'), []), "somebody else's certificate");
  assert.ok(
    verified.allows(at({ originates: { ...originated('name'), names: [['api.example.com'], ['other.example.com']] } }), []),
    'both',
  );
  assert.ok(!verified.allows(named('*.example.com'), []), 'any of many');
  assert.ok(statement({ onlyTls: { host: '*.example.com', verified: true } }).allows(named('api.example.com'), []));
  assert.ok(verified.allows(at({}), []), "the application's own TLS");
  assert.ok(!verified.allows(at({ payload: PLAIN }), []));
});

test('nothing leaves: whoever of the namespace calls', () => {
  const { allows, namespace } = statement({ nothingLeaves: { namespace: 'pay' } });
  assert.equal(namespace, 'pay');
  assert.ok(!allows(arrivalAt('a.example'), ['default/a', 'pay/b']));
  assert.ok(allows(arrivalAt('a.example'), ['payments/a']));
});

test('what is no statement is refused with its place', () => {
  const bad: object[] = [
    {},
    { onlyTls: {} },
    { onlyTls: { host: 'https://a.example' } },
    { onlyTls: { host: '192.0.2.7' } },
    { onlyWorkloads: { host: 'a.example' } },
    { nothingLeaves: {} },
    { onlyThroughGateways: false },
  ];
  for (const entry of bad) {
    assert.throws(
      () => statementOf(entry, 'x.yaml: statement 3', () => false),
      { code: 'statements-invalid', message: /^x\.yaml: statement 3: / },
      JSON.stringify(entry),
    );
  }
});
