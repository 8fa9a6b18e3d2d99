/**
 * Routes, redirects, header formats and filter chains as a stock Envoy decides them, beside our matchers, over many generated requests. Envoy is the one that
 * `scripts/fetch-envoy.ts` finds (SALLYPORT_ENVOY, PATH or its cache).
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { SAMPLE_RECORD } from '../../src/http/format/testing.ts';
import { HeaderMap } from '../../src/http/header-map.ts';
import { compileRouteConfiguration, type RouteRequest } from '../../src/http/routes/route.ts';
import { RouteConfigurationSchema } from '../../src/xds/gen/envoy/config/route/v3/route_pb.js';
import { type RunningEnvoy, startEnvoy } from './envoy-process.ts';

const HCM = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';

let made = 0;
const answer = (match: JsonObject, more: JsonObject = {}): JsonObject => {
  const name = `r${++made}`;
  return { name, match, directResponse: { status: 200, body: { inlineString: name } }, ...more };
};
const redirect = (match: JsonObject, action: JsonObject): JsonObject => ({ name: `r${++made}`, match, redirect: action });
const header = (name: string, more: JsonObject) => ({ headers: [{ name, ...more }] });
const query = (name: string, more: JsonObject) => ({ queryParameters: [{ name, ...more }] });
const set = (key: string, value: string) => ({ header: { key, value }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' });

const FORMATS = [
  '%REQ(x-a)%|%REQ(x-b?x-a)%|%REQ(x-none)%|%REQ(x-a):2%',
  '%REQ(:METHOD)% %REQ(:AUTHORITY)% %REQ(:PATH)% %REQ(:SCHEME)%',
  '%PROTOCOL% 100%% %REQ(x-none?x-b):1%',
  '%PATH(NQ:PATH)%|%PATH(WQ:PATH)%|%REQUESTED_SERVER_NAME%',
  '%QUERY_PARAM(k)%|%RESPONSE_FLAGS%|%ROUTE_NAME%',
];

const CONFIG: JsonObject = {
  name: 'rc',
  virtualHosts: [
    {
      name: 'exact',
      domains: ['a.example', 'b.example:8080', 'MIXED.example'],
      responseHeadersToAdd: FORMATS.map((format, i) => set(`x-format-${i}`, format)),
      routes: [
        answer({ path: '/exact' }),
        answer({ path: '/CaseLess', caseSensitive: false }),
        answer({ pathSeparatedPrefix: '/sep' }),
        answer({ pathSeparatedPrefix: '/SEP2', caseSensitive: false }),
        answer({ safeRegex: { regex: '/re/[a-c]+\\d?' } }),
        answer({ prefix: '/head', ...header('x-a', { stringMatch: { exact: 'one' } }) }),
        answer({ prefix: '/head', ...header('x-a', { stringMatch: { prefix: 'tw', ignoreCase: true } }) }),
        answer({ prefix: '/head', ...header('x-a', { stringMatch: { safeRegex: { regex: 't.*e' } } }) }),
        answer({ prefix: '/head', ...header('x-b', { rangeMatch: { start: '-5', end: '10' } }) }),
        answer({ prefix: '/head', ...header('x-b', { stringMatch: { suffix: 'z' }, invertMatch: true }) }),
        answer({ prefix: '/none', ...header('x-a', { presentMatch: false }) }),
        answer({ prefix: '/none', ...header('x-b', { presentMatch: true, invertMatch: true }) }),
        answer({
          prefix: '/none',
          ...header('x-a', { stringMatch: { exact: 'one' }, invertMatch: true, treatMissingHeaderAsEmpty: true }),
        }),
        answer({ prefix: '/none', ...header('x-b', { stringMatch: { contains: 'one,two' } }) }),
        answer({ prefix: '/q', ...query('k', { stringMatch: { exact: 'v' } }) }),
        answer({ prefix: '/q', ...query('k', { stringMatch: { safeRegex: { regex: '[0-9]+' } } }) }),
        answer({ prefix: '/q', ...query('flag', { presentMatch: true }) }),
        answer({ prefix: '/q', ...query('k', { presentMatch: false }) }),
        answer({ prefix: '/meth', ...header(':method', { stringMatch: { exact: 'POST' } }) }),
        redirect({ prefix: '/to/path' }, { pathRedirect: '/new' }),
        redirect({ prefix: '/to/query' }, { pathRedirect: '/new?own=1', stripQuery: true }),
        redirect({ prefix: '/to/strip' }, { hostRedirect: 'elsewhere', stripQuery: true }),
        redirect({ prefix: '/to/prefix' }, { prefixRewrite: '/p', responseCode: 'FOUND' }),
        redirect(
          { prefix: '/to/regex' },
          { regexRewrite: { pattern: { regex: '/to/(\\w+)/(.*)' }, substitution: '/\\2/\\1\\\\' }, responseCode: 'SEE_OTHER' },
        ),
        redirect({ prefix: '/to/https' }, { httpsRedirect: true, responseCode: 'PERMANENT_REDIRECT' }),
        redirect({ prefix: '/to/port' }, { portRedirect: 8443, schemeRedirect: 'https' }),
        answer({ prefix: '/' }),
      ],
    },
    { name: 'tls', domains: ['tls.example', 'tls.example:*'], requireTls: 'ALL', routes: [answer({ prefix: '/' })] },
    { name: 'suffix', domains: ['*.example', '*-x.example'], routes: [answer({ prefix: '/' })] },
    {
      name: 'longer',
      domains: ['*.deep.example'],
      routes: [answer({ prefix: '/' }, { responseHeadersToAdd: [set('x-format-0', '%UPSTREAM_HOST%-%REQ(x-b)%')] })],
    },
    { name: 'prefix', domains: ['www.*', 'www.a.*'], routes: [answer({ prefix: '/only' })] },
  ],
};

interface Asked {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly pairs: readonly (readonly [string, string])[];
}

const asked: fc.Arbitrary<Asked> = fc.record({
  method: fc.constantFrom('GET', 'POST'),
  host: fc.oneof(
    { weight: 6, arbitrary: fc.constant('a.example') },
    {
      weight: 4,
      arbitrary: fc.constantFrom(
        'A.Example',
        'a.example:80',
        'a.example:81',
        'b.example:8080',
        'b.example',
        'mixed.example',
        'x.example',
        '.example',
        'y.deep.example',
        'deep.example',
        'z-x.example',
        'www.b',
        'www.a.b',
        'www.',
        'tls.example',
        'tls.example:80',
        'other',
        '[::1]:80',
      ),
    },
  ),
  path: fc
    .tuple(
      fc.constantFrom(
        '/exact',
        '/Exact',
        '/caseless',
        '/sep',
        '/sep/x',
        '/sepx',
        '/sep2',
        '/Sep2/a',
        '/re/abc',
        '/re/ab1',
        '/re/ab12',
        '/re/',
        '/head',
        '/heads',
        '/none',
        '/q',
        '/meth',
        '/to/path/x',
        '/to/query/x',
        '/to/strip',
        '/to/prefix/y',
        '/to/regex/y',
        '/to/https',
        '/to/port',
        '/',
        '/only/x',
        '/a;b',
      ),
      fc.constantFrom('', '?', '?k=v', '?k=12', '?k', '?kk=v&flag', '?k=a&k=v', '?flag=1&k=%76', '?x=/exact'),
    )
    .map(([path, rest]) => path + rest),
  pairs: fc.array(
    fc.tuple(fc.constantFrom('x-a', 'x-b'), fc.constantFrom('one', 'TWo', 'tree', 'two', '', '5', '10', '-5', '+3', ' 7', 'z', 'abcz')),
    { maxLength: 3 },
  ),
});

/** What decides and answers a request. */
interface Decision {
  readonly status: number;
  readonly body: string;
  readonly location: string | undefined;
  readonly formats: readonly (string | undefined)[];
}

const table = compileRouteConfiguration(fromJson(RouteConfigurationSchema, CONFIG));

function ours({ method, host, path, pairs }: Asked): Decision {
  const headers = new HeaderMap(pairs.flatMap(([name, value]) => [name, value.trim()]));
  const request: RouteRequest = { method, authority: host, path, scheme: 'http', headers, random: 0, tls: undefined, internal: false };
  const route = table.match(request);
  if (!route) return { status: 404, body: '', location: undefined, formats: FORMATS.map(() => undefined) };
  const { action } = route;
  const response = new HeaderMap();
  const record = {
    ...SAMPLE_RECORD,
    method,
    authority: host,
    path,
    scheme: 'http',
    protocol: 'HTTP/1.1',
    requestHeaders: headers,
    responseHeaders: response,
    flags: [],
    routeName: route.name,
    upstreamHost: undefined,
  };
  route.responseMutations?.apply(response, record);
  return {
    status: action.kind === 'redirect' || action.kind === 'direct-response' ? action.status : 0,
    body: action.kind === 'direct-response' ? Buffer.from(action.body ?? []).toString() : '',
    location: action.kind === 'redirect' ? action.location(request) : undefined,
    formats: FORMATS.map((_, i) => response.get(`x-format-${i}`)?.trim()),
  };
}

const envoy = findEnvoy();

describe('matchers beside Envoy', { skip: envoy ? false : 'no Envoy binary: node scripts/fetch-envoy.ts fetches it' }, () => {
  let running: RunningEnvoy;

  before(async () => {
    const listener = {
      name: 'l',
      address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
      filterChains: [
        {
          filters: [
            {
              name: 'envoy.filters.network.http_connection_manager',
              typedConfig: {
                '@type': HCM,
                statPrefix: 'x',
                routeConfig: CONFIG,
                httpFilters: [{ name: 'envoy.filters.http.router', typedConfig: { '@type': ROUTER } }],
              },
            },
          ],
        },
      ],
    };
    running = await startEnvoy(envoy!, listener);
  });
  after(() => running?.stop());

  test('the same route, status, body, location and header values', async () => {
    const requests = fc.sample(asked, { numRuns: 1500, seed: 20261121 });
    const theirs = await performAll(running.port, requests);
    const different = requests.flatMap((request, i) => {
      const [got, expected] = [comparable(ours(request)), comparable(theirs[i]!)];
      return JSON.stringify(got) === JSON.stringify(expected) ? [] : [{ request, ours: got, envoy: expected }];
    });
    assert.deepEqual(different.slice(0, 5), []);
    // The sample reaches all kinds of decisions.
    assert.deepEqual([...new Set(theirs.map(({ status }) => status))].sort(), [200, 301, 302, 303, 308, 404]);
    assert.ok(new Set(theirs.map(({ body }) => body)).size > 20);
  });
});

/** Envoy rewrites `:path` itself for a redirect with a rewrite, and formats show it; the data plane leaves the path alone, as nothing goes upstream. */
function comparable(decision: Decision): Decision {
  return decision.location === undefined ? decision : { ...decision, formats: [] };
}

/** Makes the requests one after the other on one connection, as they stand. */
async function performAll(port: number, requests: readonly Asked[]): Promise<Decision[]> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1');
  await once(socket, 'connect');
  let buffer = '';
  const decisions: Decision[] = [];
  try {
    for (const { method, host, path, pairs } of requests) {
      const lines = [
        `${method} ${path} HTTP/1.1`,
        `host: ${host}`,
        ...(method === 'POST' ? ['content-length: 0'] : []),
        ...pairs.map(([name, value]) => `${name}: ${value}`),
      ];
      socket.write(`${lines.join('\r\n')}\r\n\r\n`);
      let decision: Decision | undefined;
      for (;;) {
        const parsed = parseAnswer(buffer);
        if (parsed) {
          buffer = buffer.slice(parsed.length);
          decision = parsed.decision;
          break;
        }
        const [text] = (await once(socket, 'data')) as [string];
        buffer += text;
      }
      decisions.push(decision);
    }
  } finally {
    socket.destroy();
  }
  return decisions;
}

function parseAnswer(buffer: string): { readonly decision: Decision; readonly length: number } | undefined {
  const end = buffer.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first, ...lines] = buffer.slice(0, end).split('\r\n');
  const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]));
  const length = end + 4 + Number(headers.get('content-length') ?? 0);
  if (buffer.length < length) return undefined;
  const decision = {
    status: Number(first!.split(' ')[1]),
    body: buffer.slice(end + 4, length),
    location: headers.get('location'),
    formats: FORMATS.map((_, i) => headers.get(`x-format-${i}`)),
  };
  return { decision, length };
}
