/**
 * Global rate limits (`envoy.filters.http.ratelimit`) on a stock Envoy and on the embedded data plane, with one rate limit service: what it is asked, what the
 * server behind gets, and what the client sees are the same. Envoy is the one that `scripts/fetch-envoy.ts` finds (SALLYPORT_ENVOY, PATH or its cache).
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { cluster, dataPlane, listener, typed } from './dataplane/support.ts';
import { startEnvoy } from './envoy-process.ts';
import { type Answer, type RateLimitService, startRateLimitService } from './rate-limit-service.ts';

const ENVOY = findEnvoy();
const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const NAME = 'envoy.filters.http.ratelimit';
const TYPE = 'envoy.extensions.filters.http.ratelimit.v3.RateLimit';
const H2 = {
  typedExtensionProtocolOptions: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed('envoy.extensions.upstreams.http.v3.HttpProtocolOptions', {
      explicitHttpConfig: { http2ProtocolOptions: {} },
    }),
  },
};
const OK: Answer = { overallCode: 1 };
const OVER: Answer = { overallCode: 2 };

let service: RateLimitService;
/** What the server behind was sent, in order. */
let got: object[] = [];
const upstream = createServer((message, response) => {
  got.push({ url: message.url, fields: fieldsOf(message.rawHeaders) });
  response.setHeader('x-own', 'upstream').end('hello');
});

before(async () => {
  service = await startRateLimitService();
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
});
after(() => {
  service.stop();
  upstream.closeAllConnections();
  upstream.close();
});

/** What differs from one run to the next. */
const VARYING = new Set(['date', 'x-request-id', 'x-envoy-upstream-service-time', 'keep-alive', 'connection', 'host', 'transfer-encoding']);

function fieldsOf(raw: readonly string[]): string[] {
  return raw
    .flatMap((name, at) => (at % 2 === 0 && !VARYING.has(name.toLowerCase()) ? [`${name.toLowerCase()}: ${raw[at + 1]}`] : []))
    .filter((field) => !field.startsWith('x-envoy-expected-rq-timeout-ms'))
    .sort();
}

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string;
}

async function ask(port: number, { method = 'GET', path = '/', headers = {}, body }: Sent) {
  const made = request({ port, host: '127.0.0.1', method, path, headers, agent: false });
  made.end(body);
  const [response] = (await once(made, 'response')) as [IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of response as AsyncIterable<Buffer>) parts.push(part);
  return { status: response.statusCode, fields: fieldsOf(response.rawHeaders), text: Buffer.concat(parts).toString() };
}

interface Config {
  /** Over what each of these tests has. */
  readonly filter?: JsonObject;
  /** Of the route that takes all. */
  readonly route?: JsonObject;
  readonly action?: JsonObject;
  readonly host?: JsonObject;
  /** Before the route that takes all. */
  readonly routes?: readonly JsonObject[];
  readonly before?: readonly JsonObject[];
  readonly clusters?: readonly JsonObject[];
}

const filterOf = (more: JsonObject = {}): JsonObject => ({
  name: NAME,
  typedConfig: typed(TYPE, {
    domain: 'd',
    timeout: '5s',
    failureModeDeny: true,
    rateLimitService: { grpcService: { envoyGrpc: { clusterName: 'limits' } }, transportApiVersion: 'V3' },
    ...more,
  }),
});

function listenerOf({ filter, route, action, host, routes = [], before: earlier = [] }: Config): JsonObject {
  const responseHeadersToAdd = [{ header: { key: 'x-outcome', value: '%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%' } }];
  const manager = typed(HCM, {
    statPrefix: 'x',
    httpFilters: [...earlier, filterOf(filter), { name: 'router', typedConfig: typed('envoy.extensions.filters.http.router.v3.Router') }],
    routeConfig: {
      name: 'rc',
      virtualHosts: [
        {
          ...{ name: 'v', domains: ['*'] },
          routes: [...routes, { match: { prefix: '/' }, route: { cluster: 'upstream', ...action }, responseHeadersToAdd, ...route }],
          ...host,
        },
      ],
    },
  });
  return listener('l', [{ filters: [{ name: 'hcm', typedConfig: manager }] }]);
}

type Both = readonly [envoy: number, embedded: number];

/** Both engines with one configuration; resolves with their ports. */
async function engines(t: TestContext, config: Config): Promise<Both> {
  const all = config.clusters ?? [cluster('upstream', [(upstream.address() as AddressInfo).port]), cluster('limits', [service.port], H2)];
  const envoy = await startEnvoy(ENVOY!, listenerOf(config), all);
  t.after(() => envoy.stop());
  const plane = await dataPlane(t);
  const ack = await plane.set({ listeners: [listenerOf(config)], clusters: [...all] });
  assert.deepEqual(ack.rejected, []);
  return [envoy.port, plane.port('l')];
}

/** The outcome on Envoy, which has to be the embedded data plane's as well. */
async function same([envoy, own]: Both, sent: Sent = {}) {
  const outcome = async (port: number) => {
    got = [];
    service.asked.length = 0;
    return { ...(await ask(port, sent)), asked: [...service.asked], got };
  };
  const expected = await outcome(envoy);
  if (process.env.PROBE) console.log(JSON.stringify(expected));
  assert.deepEqual(await outcome(own), expected);
  return expected;
}

const by = (...actions: JsonObject[]): JsonObject => ({ actions });
const key = (descriptorValue: string): JsonObject => ({ genericKey: { descriptorValue } });
const ONE: JsonObject = { action: { rateLimits: [by(key('one'))] } };
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
    const clusters = [cluster('upstream', [(upstream.address() as AddressInfo).port]), cluster('limits', [1], H2)];
    assert.equal((await same(await engines(t, { ...ONE, clusters }))).status, 500);
    assert.equal((await same(await engines(t, { ...ONE, clusters, filter: { failureModeDeny: false } }))).status, 200);
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
      got = [];
      const { status: answered, fields } = await ask(own, { method: 'POST', body: 'a body' });
      assert.equal(answered, overallCode === 1 ? 200 : 429);
      assert.deepEqual(
        fields.filter((field) => /forged|content-length: 1$/.test(field)),
        [],
      );
      if (overallCode === 1) assert.equal((got[0] as { url: string }).url, '/');
    }
  });
});
