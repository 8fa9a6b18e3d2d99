/**
 * Global rate limits (`envoy.filters.http.ratelimit`) on a stock Envoy and on the embedded data plane, with one rate limit service: what it is asked, what the
 * server behind gets, and what the client sees are the same. Envoy is the one that `scripts/fetch-envoy.ts` finds (SALLYPORT_ENVOY, PATH or its cache).
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { typed } from '../dataplane/support.ts';
import { ask, type Both, type Config, ENVOY, engines as enginesOf, NAME, outcome, type Sent, startUpstream, TYPE } from './engines.ts';
import { type Answer, type RateLimitService, startRateLimitService } from './service.ts';

const OK: Answer = { overallCode: 1 };
const OVER: Answer = { overallCode: 2 };

let service: RateLimitService;
let upstream: Awaited<ReturnType<typeof startUpstream>>;

before(async () => {
  service = await startRateLimitService();
  upstream = await startUpstream();
});
after(() => {
  service.stop();
  upstream.stop();
});

const engines = (t: TestContext, config: Omit<Config, 'ports'>, limits = service.port): Promise<Both> =>
  enginesOf(t, { ...config, ports: { upstream: upstream.port, limits } });

/** The outcome on Envoy, which has to be the embedded data plane's as well. */
async function same([envoy, own]: Both, sent: Sent = {}) {
  const expected = await outcome(envoy, sent, service.asked);
  assert.deepEqual(await outcome(own, sent, service.asked), expected);
  return expected;
}

const by = (...actions: JsonObject[]): JsonObject => ({ actions });
const key = (descriptorValue: string): JsonObject => ({ genericKey: { descriptorValue } });
const ONE = { action: { rateLimits: [by(key('one'))] } };
const GRPC: Sent = { headers: { 'content-type': 'application/grpc' } };

const atPath = (name: string): JsonObject => ({ key: 'm', path: [{ key: name }] });
/** What each action makes of a request, also where it finds nothing. */
const ACTIONS: readonly JsonObject[] = [
  by({ sourceCluster: {} }, { destinationCluster: {} }, { remoteAddress: {} }, { maskedRemoteAddress: { v4PrefixMaskLen: 12 } }),
  by({ maskedRemoteAddress: {} }),
  by(key('a%REQ(x-a)%b')),
  by({ genericKey: { descriptorKey: 'own', descriptorValue: '%REQ(x-none)%', defaultValue: 'unused' } }),
  by({ requestHeaders: { headerName: 'X-Two', descriptorKey: 'two' } }),
  by({ requestHeaders: { headerName: 'x-empty', descriptorKey: 'empty' } }),
  by({ requestHeaders: { headerName: 'x-none', descriptorKey: 'none' } }),
  by({ requestHeaders: { headerName: 'x-none', descriptorKey: 'none', skipIfAbsent: true } }),
  by({ requestHeaders: { headerName: 'x-none', descriptorKey: 'none', skipIfAbsent: true } }, key('after one that is absent')),
  by(...[':path', ':method', ':scheme'].map((headerName) => ({ requestHeaders: { headerName, descriptorKey: headerName } }))),
  by({ requestHeaders: { headerName: 'host', descriptorKey: 'host' } }),
  by({ queryParameters: { queryParameterName: 'q', descriptorKey: 'q' } }),
  by({ queryParameters: { queryParameterName: 'e', descriptorKey: 'e' } }),
  by({ queryParameters: { queryParameterName: 'none', descriptorKey: 'none' } }),
  by({ queryParameters: { queryParameterName: 'none', descriptorKey: 'none', skipIfAbsent: true } }),
  by({ queryParameters: { queryParameterName: 'sp ace', descriptorKey: 'space' } }),
  by({ queryParameterValueMatch: { descriptorValue: 'q', queryParameters: [{ name: 'q', stringMatch: { exact: 'a b' } }] } }),
  by({
    queryParameterValueMatch: { descriptorValue: 'q', descriptorKey: 'not', expectMatch: false, queryParameters: [{ name: 'none' }] },
  }),
  by({ headerValueMatch: { descriptorValue: 'h%', headers: [{ name: 'x-a' }] } }),
  by({ headerValueMatch: { descriptorValue: 'h', descriptorKey: 'not', expectMatch: false, headers: [{ name: 'x-none' }] } }),
  by({ headerValueMatch: { descriptorValue: 'h', headers: [{ name: 'x-none' }] } }),
  by({ metadata: { descriptorKey: 'm', metadataKey: atPath('none'), defaultValue: 'default' } }),
  by({ metadata: { descriptorKey: 'm', metadataKey: atPath('none') } }),
  by({ metadata: { descriptorKey: 'm', metadataKey: atPath('none'), skipIfAbsent: true } }),
  by({ metadata: { descriptorKey: 'm', source: 'ROUTE_ENTRY', metadataKey: atPath('text') } }),
  by({ metadata: { descriptorKey: 'm', source: 'ROUTE_ENTRY', metadataKey: atPath('number') } }),
  { ...by(key('hits')), hitsAddend: { number: '5' } },
  { ...by(key('limit')), limit: { rateLimit: { requestsPerUnit: 4, unit: 'HOUR' } } },
  { ...by(key('limit')), limit: { dynamicMetadata: { metadataKey: atPath('limit') } } },
  { ...by(key('stage 1')), stage: 1 },
  { ...by(key('disable')), disableKey: 'disable' },
];

describe('global rate limits beside Envoy', { skip: ENVOY ? false : 'there is no Envoy' }, () => {
  test('what each action says of a request', async (t) => {
    const route = { metadata: { filterMetadata: { m: { text: 'routed', number: 1 } } } };
    const both = await engines(t, { action: { rateLimits: [...ACTIONS] }, route });
    service.answers = () => OK;
    const headers = { host: 'a.example.com', 'x-a': 'A', 'x-two': ['1', '2'], 'x-empty': '' };
    const { asked } = await same(both, { path: '/p?q=a%20b&q=c&e=&sp%20ace=1+2', headers });
    assert.match(
      asked[0]!,
      /^d: source_cluster=,destination_cluster=upstream,remote_address=127\.0\.0\.1,masked_remote_address=127\.0\.0\.0\/12; /,
    );
    assert.match(asked[0]!, /; q=a b; e=; ; space=1\+2; query_match=q; /);
    for (const path of ['/', '/?q=a+b%zz%', '/?q', '/?none', '/?q=%C3%A9']) await same(both, { path, headers });
    await same(both, { headers: { host: 'a.example.com', 'x-two': Buffer.from('é').toString('latin1') } });
    await same(both, { method: 'POST', body: 'a body', headers });
  });

  test('the limits of routes, virtual hosts, the filter, and its settings on a route', async (t) => {
    const perRoute = (more: JsonObject) => ({ typedPerFilterConfig: { [NAME]: typed(`${TYPE}PerRoute`, more) } });
    const to = { cluster: 'upstream' };
    const own = { rateLimits: [by(key('of the route')), { ...by(key('stage 1')), stage: 1 }] };
    const routes: JsonObject[] = [
      { match: { path: '/direct' }, directResponse: { status: 204 } },
      { match: { path: '/none' }, route: to },
      { match: { path: '/own' }, route: { ...to, ...own } },
      { match: { path: '/stage' }, route: { ...to, rateLimits: [{ ...by(key('stage 1')), stage: 1 }] } },
      { match: { path: '/include' }, route: { ...to, ...own, includeVhRateLimits: true } },
      { match: { path: '/include-per-route' }, route: { ...to, ...own }, ...perRoute({ vhRateLimits: 'INCLUDE' }) },
      { match: { path: '/ignore' }, route: to, ...perRoute({ vhRateLimits: 'IGNORE' }) },
      { match: { path: '/domain' }, route: to, ...perRoute({ domain: 'other' }) },
      {
        match: { path: '/per-route' },
        route: { ...to, ...own },
        ...perRoute({
          rateLimits: [{ ...by(key('per route')), hitsAddend: { number: '3' }, limit: { rateLimit: { requestsPerUnit: 2, unit: 'DAY' } } }],
        }),
      },
      {
        match: { path: '/off' },
        route: to,
        typedPerFilterConfig: { [NAME]: typed('envoy.config.route.v3.FilterConfig', { disabled: true }) },
      },
      { match: { path: '/nowhere' }, route: { clusterHeader: 'x-cluster' } },
    ];
    const host = { rateLimits: [by(key('of the host'))] };
    service.answers = () => OK;
    const paths = routes.map(({ match }) => String((match as JsonObject).path));
    const asked: Record<string, string | undefined> = {};
    const both = await engines(t, { routes, host });
    for (const path of paths) asked[path] = (await same(both, { path })).asked[0];
    assert.deepEqual(asked, {
      '/direct': undefined,
      '/none': 'd: generic_key=of the host',
      '/own': 'd: generic_key=of the route',
      '/stage': undefined,
      '/include': 'd: generic_key=of the route; generic_key=of the host',
      '/include-per-route': 'd: generic_key=of the route; generic_key=of the host',
      '/ignore': undefined,
      '/domain': 'other: generic_key=of the host',
      '/per-route': 'd: generic_key=per route[2/4, 3 hits]',
      '/off': undefined,
      '/nowhere': undefined,
    });
    const filter = { stage: 1, rateLimits: [by(key('of the filter'))] };
    const ofFilter = await engines(t, { routes, host, filter });
    for (const path of paths) await same(ofFilter, { path });
    const stage = await engines(t, { routes, host, filter: { stage: 1 } });
    for (const path of paths) await same(stage, { path });
  });

  const status = (
    name: string,
    requestsPerUnit: number,
    unit: number,
    limitRemaining: number,
    seconds: bigint,
    unitMultiplier?: number,
  ) => ({
    currentLimit: { name, requestsPerUnit, unit, ...(unitMultiplier && { unitMultiplier }) },
    limitRemaining,
    durationUntilReset: { seconds, nanos: 5e8 },
  });
  const FULL: Answer = {
    statuses: [
      status('a', 10, 1, 5, 1n),
      status('', 100, 2, 4, 60n),
      ...[3, 4, 5, 6, 7, 0].map((unit) => status(`unit ${unit}`, 1, unit, 9, 9n)),
      status('three hours', 1, 3, 9, 9n, 3),
      { code: 1, limitRemaining: 1 },
    ],
    responseHeadersToAdd: [
      { key: 'X-Answer', value: 'one' },
      { key: 'x-answer', value: 'two' },
      { key: 'content-type', value: 'application/json' },
    ],
    requestHeadersToAdd: [
      { key: 'X-Request', value: 'added' },
      { key: 'x-a', value: 'B' },
    ],
    rawBody: Buffer.from('{"a":1}'),
    dynamicMetadata: { from: 'service' },
  };

  test('what the service says', async (t) => {
    const filter: JsonObject = {
      enableXRatelimitHeaders: 'DRAFT_VERSION_03',
      responseHeadersToAdd: [{ header: { key: 'x-added', value: '%REQ(x-a)%' } }],
      rateLimitedStatus: { code: 'ServiceUnavailable' },
    };
    const requestHeadersToAdd = [{ header: { key: 'x-noted', value: `%DYNAMIC_METADATA(${NAME}:from)%` } }];
    const both = await engines(t, { ...ONE, filter, route: { requestHeadersToAdd } });
    const statuses: (number | undefined)[] = [];
    for (const overallCode of [1, 2]) {
      service.answers = () => ({ ...FULL, overallCode });
      for (const sent of [{ headers: { 'x-a': 'A' } }, GRPC, { method: 'HEAD' }, { method: 'POST', body: 'a body' }])
        statuses.push((await same(both, sent)).status);
      service.answers = () => ({ overallCode });
      for (const sent of [{}, GRPC]) statuses.push((await same(both, sent)).status);
    }
    assert.deepEqual(statuses, [200, 200, 200, 200, 200, 200, 503, 200, 503, 503, 503, 200]);
  });

  const SETTINGS: readonly (readonly [name: string, filter: JsonObject, answer: Answer | 'error' | undefined, status: number])[] = [
    ['no answer in time', { timeout: '0.05s' }, undefined, 500],
    ['an error, and that denies', {}, 'error', 500],
    ['an error, and that allows', { failureModeDeny: false }, 'error', 200],
    [
      'an error, and its share of all denies',
      { failureModeDeny: false, failureModeDenyPercent: { defaultValue: { numerator: 100 } } },
      'error',
      500,
    ],
    ['an error, and its share of none denies', { failureModeDenyPercent: { defaultValue: { numerator: 0 } } }, 'error', 200],
    ['an error with a status of its own', { statusOnError: { code: 'BadGateway' } }, 'error', 502],
    ['an error with a status that is none of errors', { statusOnError: { code: 'OK' } }, 'error', 200],
    ['a status that is none of errors', { rateLimitedStatus: { code: 'OK' } }, OVER, 429],
    ['no field that says so', { disableXEnvoyRatelimitedHeader: true }, OVER, 429],
    ['to gRPC as what is exhausted', { rateLimitedAsResourceExhausted: true }, OVER, 429],
    ['enforced for none', { filterEnforced: { defaultValue: { numerator: 0 } } }, OVER, 200],
    ['enabled for none', { filterEnabled: { defaultValue: { numerator: 0 } } }, OVER, 200],
    ['requests from inside alone', { requestType: 'internal' }, OVER, 200],
    ['requests from outside alone', { requestType: 'external' }, OVER, 429],
  ];
  for (const [name, filter, answer, expected] of SETTINGS)
    test(`settings of the filter: ${name}`, async (t) => {
      const both = await engines(t, { ...ONE, filter });
      service.answers = () => answer;
      assert.equal((await same(both)).status, expected);
      await same(both, GRPC);
    });

  test('without a service', async (t) => {
    assert.equal((await same(await engines(t, ONE, 1))).status, 500);
    assert.equal((await same(await engines(t, { ...ONE, filter: { failureModeDeny: false } }, 1))).status, 200);
  });

  // Envoy takes this for yes.
  test('an answer that says neither is none', async (t) => {
    const [, own] = await engines(t, ONE);
    service.answers = () => ({});
    assert.equal((await ask(own, {})).status, 500);
  });

  test('what would frame a message is not taken from a service', async (t) => {
    const [, own] = await engines(t, ONE);
    const wrong = [
      { key: 'content-length', value: '1' },
      { key: 'transfer-encoding', value: 'chunked' },
      { key: 'x-a', value: 'a\r\nx-forged: 1' },
      { key: ':path', value: '/other' },
    ];
    for (const overallCode of [1, 2]) {
      service.answers = () => ({ overallCode, requestHeadersToAdd: wrong, responseHeadersToAdd: wrong });
      const { status: answered, fields, got } = await outcome(own, { method: 'POST', body: 'a body' }, service.asked);
      assert.equal(answered, overallCode === 1 ? 200 : 429);
      assert.deepEqual(
        fields.filter((field) => /forged|content-length: 1$/.test(field)),
        [],
      );
      if (overallCode === 1) assert.equal((got[0] as { url: string }).url, '/');
    }
  });
});
