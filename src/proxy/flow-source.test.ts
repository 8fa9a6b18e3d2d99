import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { MOST_RECENT, type ProxyFlow } from '../flows/flow.ts';
import { DataPlaneFlows } from './flow-source.ts';
import { downstreamOf } from './http/testing.ts';
import { newRecord } from './record.ts';
import type { AccessRecord, Downstream, UpstreamHost } from './types.ts';

const NO_SOCKET = {} as Socket;
const HOST = { address: { ip: '127.0.0.1', port: 8080 } } as UpstreamHost;
const ORIGIN = { kind: 'ServiceEntry', namespace: 'default', name: 'www', file: 'egress.yaml', line: 1 };

function flows() {
  let now = 1000;
  const told: ProxyFlow[] = [];
  const names: Record<string, string> = { '240.240.0.1': 'named.example' };
  const source = new DataPlaneFlows({ workload: 'default/local', now: () => now, date: () => now, nameOf: (ip) => names[ip] });
  return {
    source,
    told,
    watch: () => source.watch((flow) => void told.push(flow)),
    at: (ms: number) => {
      now = ms;
    },
    record: (fields: Partial<AccessRecord> = {}, connection: Partial<Downstream> = {}): AccessRecord => ({
      ...newRecord(
        downstreamOf(NO_SOCKET, 1, {
          remoteAddress: { ip: '127.0.0.1', port: 40_000 },
          localAddress: { ip: '198.51.100.7', port: 443 },
          ...connection,
        }),
        1_767_322_800_000 + now,
        now,
      ),
      ended: now + 2.5,
      upstreamCluster: 'outbound|443||www.example.com',
      upstreamHost: HOST,
      ...fields,
    }),
  };
}

const HTTP = { protocol: 'HTTP/1.1', method: 'GET', path: '/a/b?token=secret#f', authority: 'www.example.com:8000' };

test('nothing is told of a call while nobody watches; its end is remembered, and its socket is not held', () => {
  const { source, record, told, watch, at } = flows();
  const unread = new Proxy(record(), { get: () => assert.fail('it was looked at') });
  source.begin(unread);
  watch();
  source.watch(undefined);
  const one = record({ ...HTTP, responseCode: 200 });
  const get = (of: Downstream, key: keyof Downstream) => (key === 'socket' ? assert.fail('its socket was looked at') : of[key]);
  source.record({ ...one, downstream: new Proxy(one.downstream, { get: get as NonNullable<ProxyHandler<Downstream>['get']> }) });
  at(2000);
  source.record(record({ upstreamHost: undefined }, { asked: 'asked.example' }));
  assert.deepEqual(told, []);
  assert.deepEqual(
    source.recent.map(({ kind, id, host, verdict, path }) => [kind, id, host, verdict, path]),
    [
      ['end', '1', 'www.example.com', 'allowed', '/a/b'],
      ['end', '2', 'asked.example', 'failed', undefined],
    ],
  );
});

test('what is remembered is what was told, and no more than a set number of calls', () => {
  const { source, record, told, watch } = flows();
  watch();
  for (let i = 0; i < MOST_RECENT + 10; i++) source.record(record(HTTP));
  source.turnedAway({
    verdict: 'refused',
    protocol: 'dns',
    host: 'x.example',
    port: 0,
    client: { ip: '127.0.0.1', port: 1 },
    reason: 'no',
  });
  const ends = told.filter(({ kind }) => kind === 'end');
  assert.deepEqual(source.recent, ends.slice(-MOST_RECENT));
  assert.equal(source.recent.at(-1)?.host, 'x.example');
});

test('a call begins and ends with one id; what secrets are in is left out', () => {
  const { source, record, told, watch } = flows();
  watch();
  const one = record({ ...HTTP, routeName: 'r', routeMetadata: { sallyport: { origins: [ORIGIN] } } });
  source.begin(one);
  Object.assign(one, { responseCode: 200, responseCodeDetails: 'via_upstream', bytesReceived: 3, bytesSent: 7 });
  one.clusterMetadata = { sallyport: { origins: [ORIGIN, { ...ORIGIN, kind: 'DestinationRule' }] } };
  source.record(one);
  const call = {
    id: '1',
    workload: 'default/local',
    source: '127.0.0.1:40000',
    destination: '198.51.100.7:443',
    host: 'www.example.com',
    port: 8000,
    protocol: 'http',
    method: 'GET',
    path: '/a/b',
    cluster: 'outbound|443||www.example.com',
    route: 'r',
  };
  assert.deepEqual(told, [
    { kind: 'begin', time: '2026-01-02T03:00:01.000Z', ...call, origins: [ORIGIN] },
    {
      kind: 'end',
      time: '2026-01-02T03:00:01.002Z',
      ...call,
      origins: [ORIGIN, { ...ORIGIN, kind: 'DestinationRule' }],
      verdict: 'allowed',
      status: 200,
      upstream: '127.0.0.1:8080',
      responseCodeDetails: 'via_upstream',
      bytesSent: 3,
      bytesReceived: 7,
      duration: 2.5,
    },
  ]);
  assert.doesNotMatch(JSON.stringify(told), /secret/);
});

test('what ends where it begins has both; what began before anybody watched only ends', () => {
  const { source, record, told, watch, at } = flows();
  const before = record();
  at(2000);
  watch();
  source.record(before);
  source.record(record());
  assert.deepEqual(
    told.map(({ kind, id }) => `${kind} ${id}`),
    ['end 1', 'begin 2', 'end 2'],
  );
});

test('a connection is named by what is known of where it goes', () => {
  const { source, record, told, watch } = flows();
  watch();
  const hostOf = (connection: Partial<Downstream>) => {
    source.record(record({}, connection));
    const { host, port, protocol } = told.at(-1)!;
    return `${protocol} ${host}:${port}`;
  };
  assert.equal(hostOf({ serverName: 'sni.example' }), 'tls sni.example:443');
  assert.equal(hostOf({ serverName: 'outbound_.443_.v1_.deep.example' }), 'tls deep.example:443');
  assert.equal(hostOf({ asked: 'asked.example' }), 'tcp asked.example:443');
  assert.equal(hostOf({ localAddress: { ip: '240.240.0.1', port: 80 } }), 'tcp named.example:80');
  assert.equal(hostOf({ localAddress: { ip: '2001:db8::1', port: 80 } }), 'tcp 2001:db8::1:80');
  const local = { localAddress: { ip: '127.0.100.1', port: 8443 } };
  source.record(record({ ...HTTP, authority: 'www.example.com', scheme: 'https' }, local));
  assert.equal(told.at(-1)?.port, 443, 'not the port of the gateway that it went through');
  source.record(record({}, { asked: 'nowhere.example', localAddress: { ip: '0.0.0.0', port: 80 } }));
  assert.equal(told.at(-1)?.destination, undefined);
  source.record(record({ ...HTTP, authority: '[2001:db8::1]:8000', path: `/${'x'.repeat(5000)}` }));
  assert.equal(told.at(-1)?.host, '2001:db8::1');
  assert.equal(told.at(-1)?.path?.length, 1024);
});

test('who calls is who the certificate says', () => {
  const { source, record, told, watch } = flows();
  watch();
  const peer = { uriSans: ['spiffe://cluster.local/ns/shop/sa/cart'], dnsSans: [], subject: '', sha256: '' };
  source.record(record({}, { tls: { version: 'TLSv1.3', cipher: '', peer } }));
  assert.equal(told.at(-1)?.workload, 'spiffe://cluster.local/ns/shop/sa/cart');
});

test('a verdict says whether it was allowed, refused by the policy, or did not work', () => {
  const { source, record, told, watch } = flows();
  watch();
  const verdict = (fields: Partial<AccessRecord>) => {
    source.record(record(fields));
    const { verdict: v, reason = '' } = told.at(-1)!;
    return `${v}: ${reason}`;
  };
  const none = { upstreamHost: undefined };
  const refusal = { sallyport: { refusal: 'tls.credentialName is not there' } };
  assert.equal(verdict({}), 'allowed: ');
  assert.equal(verdict({ upstreamCluster: 'PassthroughCluster' }), 'allowed: nothing declares it');
  assert.equal(verdict({ upstreamCluster: 'PassthroughCluster', flags: ['UF'], ...none }), 'failed: UF');
  assert.equal(told.at(-1)!.undeclared, true);
  const answered = (responseCode: number) =>
    verdict({ ...HTTP, ...none, upstreamCluster: '', routeName: 'own', responseCode, responseCodeDetails: 'direct_response' });
  assert.equal(answered(301), 'allowed: ');
  assert.match(answered(403), /^refused: a route answers 403 itself/);
  assert.equal(verdict({ ...HTTP, responseCode: 500 }), 'allowed: ', 'the server’s own answer');
  assert.equal(verdict({ upstreamCluster: 'BlackHoleCluster', ...none }), 'refused: not allowed');
  assert.equal(verdict({ upstreamCluster: '', ...none, flags: ['NR'] }), 'refused: not allowed');
  for (const routeName of ['block_all', 'refused'])
    assert.equal(
      verdict({ ...HTTP, ...none, upstreamCluster: '', routeName, responseCodeDetails: 'direct_response' }),
      'refused: not allowed',
    );
  assert.equal(verdict({ ...none, clusterMetadata: refusal }), 'refused: tls.credentialName is not there');
  assert.equal(verdict({ ...HTTP, ...none, routeMetadata: refusal }), 'refused: tls.credentialName is not there');
  const denied = 'rbac_access_denied_matched_policy[none]';
  assert.equal(verdict({ ...HTTP, ...none, responseCodeDetails: denied }), `refused: ${denied}`);
  assert.equal(verdict({ ...none, connectionTerminationDetails: denied }), `refused: ${denied}`);
  const jwt = 'jwt_authn_access_denied{Jwt_is_missing}';
  assert.equal(verdict({ ...HTTP, ...none, responseCodeDetails: jwt }), `refused: ${jwt}`);
  assert.equal(verdict({ flags: ['UF'], upstreamTransportFailureReason: 'connection refused' }), 'failed: connection refused');
  assert.equal(verdict({ ...none, flags: ['UH'], responseCodeDetails: 'no_healthy_upstream' }), 'failed: no_healthy_upstream');
  assert.equal(verdict({ ...HTTP, flags: ['UT'], responseCodeDetails: 'response_timeout' }), 'failed: response_timeout');
  assert.equal(verdict({ ...HTTP, flags: ['UC'] }), 'failed: UC');
});

test('a call that was turned away before there was a record of it begins and ends', () => {
  const { source, told, watch } = flows();
  const away = { verdict: 'refused', protocol: 'dns', host: 'x.example', port: 0, client: { ip: '::1', port: 5 }, reason: 'why' } as const;
  source.turnedAway(away);
  watch();
  source.turnedAway(away);
  const call = { time: '1970-01-01T00:00:01.000Z', id: '2', workload: 'default/local', source: '[::1]:5', host: 'x.example', port: 0 };
  assert.deepEqual(told, [
    { kind: 'begin', ...call, protocol: 'dns' },
    { kind: 'end', ...call, protocol: 'dns', verdict: 'refused', reason: 'why', bytesSent: 0, bytesReceived: 0, duration: 0 },
  ]);
});

test('to whoever need not know of all, some of very many calls that go well are told, whole, and all that went wrong; the others are counted', () => {
  const { source, record, told, at } = flows();
  let left = 0;
  source.watch(() => assert.fail('it is not told at once'), {
    leftOut: (count) => {
      left += count;
    },
    later: (_id, make) => void told.push(make()),
  });
  const many = 10_000;
  for (let i = 0; i < many; i++) {
    // A second.
    at(1000 + i / 10);
    const call = i % 100 === 0 ? record({ upstreamHost: undefined, flags: ['UF'] }) : record();
    source.begin(call);
    source.record(call);
  }
  const ends = told.filter(({ kind }) => kind === 'end');
  assert.equal(ends.length + left, many);
  assert.equal(ends.filter(({ verdict }) => verdict === 'failed').length, many / 100);
  assert.ok(ends.length < 1_400, String(ends.length));
  const begun = new Set(told.flatMap(({ kind, id }) => (kind === 'begin' ? [id] : [])));
  assert.deepEqual(
    [...begun],
    ends.map(({ id }) => id),
  );
  assert.equal(source.recent.length, MOST_RECENT, 'they are remembered all the same');
});
