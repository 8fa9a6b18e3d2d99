import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type JsonValue } from '@bufbuild/protobuf';
import { type Cluster, ClusterSchema } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { MetadataSchema } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import type { Head } from '../head.ts';
import { HeaderMap } from '../header-map.ts';
import { CredentialsFilter, exposedReply, strayReply } from './credentials.ts';
import type { JudgedRequest } from './filter.ts';

const BOUND = { mode: 'enforce', hosts: ['api.example'], ports: [80], addresses: [] };
const RULES = [{ name: 'c', header: 'x-key' }];

function judged(sallyport: { readonly bind?: JsonValue; readonly credentials?: JsonValue }, method = 'GET', ...flat: string[]) {
  const metadata = create(MetadataSchema, { filterMetadata: { sallyport: sallyport as never } });
  const route = { action: { kind: 'forward' }, origins: [], virtualHost: { config: { metadata } } };
  const head = { method, path: '/', headers: new HeaderMap(flat) } as unknown as Head;
  return new CredentialsFilter('f').judge({ head, route } as unknown as JudgedRequest);
}

test('a request of a bound host gets its credential, and says so without its value', () => {
  const { host, texts, values = [] } = judged({ bind: BOUND, credentials: RULES }).injects ?? {};
  assert.deepEqual([host, texts], ['api.example', ['puts credential c into header x-key as the request leaves for api.example']]);
  assert.deepEqual(
    values.map(({ name, lacking }) => `${name} ${lacking.status} ${lacking.body}`),
    ['c 503 sallyport: refused: the credential c for api.example (header x-key) cannot be had'],
  );
  for (const none of [judged({ bind: BOUND }), judged({ bind: BOUND, credentials: RULES }, 'GET', 'x-key', 'mine')])
    assert.deepEqual([none.injects, none.answer], [undefined, undefined]);
});

test('what is not bound, for one host, or not understood is refused; of the last alone nobody else’s request passes', () => {
  const wide = { ...BOUND, hosts: ['*.example'] };
  for (const [sallyport, method, always] of [
    [{ credentials: RULES }, 'GET', false],
    [{ bind: { ...BOUND, mode: 'audit' }, credentials: RULES }, 'GET', false],
    [{ bind: wide, credentials: RULES }, 'GET', false],
    [{ bind: BOUND, credentials: RULES }, 'TRACE', false],
    [{ bind: BOUND, credentials: 'text' }, 'GET', true],
  ] as const) {
    const { answer } = judged(sallyport as never, method);
    assert.equal(answer?.reply.status, 403);
    assert.match(answer.reply.details, /^credential_refused\{/);
    assert.equal(answer.always, always);
  }
});

function clusterOf(bind: JsonValue | undefined, policy?: boolean): Cluster {
  return create(ClusterSchema, {
    metadata: { filterMetadata: { sallyport: { ...(bind !== undefined && { bind }), ...(policy && { policy }) } as never } },
  });
}

const FOR_RUN = { host: 'api.example', policy: false };
const OF_POLICY = { host: 'api.example', policy: true };

test('a cluster of another host, of several, or of nobody in particular gets none', () => {
  const stray = (bind?: JsonValue) => strayReply([FOR_RUN], clusterOf(bind))?.status;
  assert.deepEqual(
    [
      stray(BOUND),
      stray({ ...BOUND, hosts: ['evil.example'] }),
      stray({ ...BOUND, hosts: ['api.example', 'evil.example'] }),
      stray({ ...BOUND, mode: 'audit' }),
      stray(),
    ],
    [undefined, 403, 403, 403, 403],
  );
});

test('in plain it goes to loopback and private addresses alone', () => {
  const exposed = (ip: string) => exposedReply([FOR_RUN], clusterOf(BOUND), ip) !== undefined;
  for (const ip of ['127.0.0.1', '::1', '10.1.2.3', '192.168.0.1', 'fd00::1', '/run/unix.socket']) assert.ok(!exposed(ip), ip);
  for (const ip of ['203.0.113.7', '169.254.169.254', '100.64.0.1', '2001:db8::1', '0.0.0.0', '224.0.0.1']) assert.ok(exposed(ip), ip);
});

test('that of an EgressPolicy goes by clusters of EgressPolicies alone, and nowhere in plain', () => {
  assert.equal(strayReply([OF_POLICY], clusterOf(BOUND))?.status, 403);
  assert.equal(strayReply([FOR_RUN, OF_POLICY], clusterOf(BOUND))?.status, 403);
  assert.equal(strayReply([OF_POLICY], clusterOf(BOUND, true)), undefined);
  for (const ip of ['127.0.0.1', '10.1.2.3', '203.0.113.7'])
    assert.equal(exposedReply([FOR_RUN, OF_POLICY], clusterOf(BOUND, true), ip)?.status, 403);
});
