import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromJson, type JsonObject } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { FilterConfigSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { type RouteConfiguration, RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { HTTPFaultSchema } from '../../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { TypedStructSchema } from '../../xds/gen/xds/type/v3/typed_struct_pb.js';
import { SAMPLE_RECORD } from '../format/testing.ts';
import { HeaderMap } from '../header-map.ts';
import { hashRequest } from './hash.ts';
import { compileHosts } from './hosts.ts';
import { compileRouteConfiguration, type ForwardAction, type RouteRequest, type RouteTable } from './route.ts';
import { xxHash64 } from './xxhash.ts';

const config = (json: JsonObject): RouteConfiguration => fromJson(RouteConfigurationSchema, json);

/** A table with one virtual host for every host. */
const routes = (...list: JsonObject[]): RouteTable =>
  compileRouteConfiguration(config({ name: 'rc', virtualHosts: [{ name: 'vh', domains: ['*'], routes: list }] }));

const request = (path: string, fields: Partial<RouteRequest> & { pairs?: string[] } = {}): RouteRequest => ({
  method: 'GET',
  authority: 'a.example',
  path,
  scheme: 'http',
  headers: new HeaderMap(fields.pairs ?? []),
  random: 0,
  tls: undefined,
  internal: false,
  ...fields,
});

const to = (cluster: string) => ({ route: { cluster } });
const clusterOf = (table: RouteTable, asked: RouteRequest) => {
  const action = table.match(asked)?.action;
  return action?.kind === 'forward' ? action.choose(asked)?.cluster : action?.kind;
};

test('virtual hosts: exact, then the longest suffix, then the longest prefix, then any', () => {
  const vh = (name: string, ...domains: string[]) => ({ name, domains, routes: [{ match: { prefix: '/' }, ...to(name) }] });
  const json = {
    name: 'rc',
    virtualHosts: [
      vh('any', '*'),
      vh('com', '*.com'),
      vh('ex', '*.example.com', 'WWW.Example.com:80'),
      vh('pre', 'www.*'),
      vh('exact', 'www.example.com', '*-bar.com'),
    ],
  };
  const table = compileRouteConfiguration(config(json));
  const host = (authority: string) => clusterOf(table, request('/', { authority }));
  assert.equal(host('www.example.com'), 'exact');
  assert.equal(host('WWW.EXAMPLE.COM'), 'exact');
  assert.equal(host('www.example.com:80'), 'ex');
  assert.equal(host('www.example.com:81'), 'pre');
  assert.equal(host('a.b.example.com'), 'ex');
  assert.equal(host('example.com'), 'com');
  assert.equal(host('x-bar.com'), 'exact');
  assert.equal(host('.com'), 'any');
  assert.equal(host('www.x'), 'pre');
  assert.equal(host('www.'), 'any');
  assert.equal(host('else'), 'any');
  assert.equal(host(''), 'any');
  const ports = compileRouteConfiguration(config({ ...json, ignorePortInHostMatching: true }));
  assert.equal(clusterOf(ports, request('/', { authority: 'WWW.example.com:8080' })), 'exact');
  assert.equal(clusterOf(ports, request('/', { authority: '[::1]:8080' })), 'any');
});

test('virtual hosts agree with a search through all domains', () => {
  const label = fc.constantFrom('a', 'b', 'ab');
  const name = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.'));
  const domain = fc.oneof(
    name,
    name.map((n) => `*.${n}`),
    name.map((n) => `*${n}`),
    name.map((n) => `${n}.*`),
    fc.constant('*'),
  );
  fc.assert(
    fc.property(fc.uniqueArray(domain, { maxLength: 8 }), name, (domains, host) => {
      const table = compileHosts(
        domains.map((value) => ({ name: value, domains: [value], value })),
        false,
      );
      const holds = (pattern: string) =>
        pattern === host ||
        (pattern.startsWith('*') && host.length > pattern.length - 1 && host.endsWith(pattern.slice(1))) ||
        (pattern !== '*' && pattern.endsWith('*') && host.length > pattern.length - 1 && host.startsWith(pattern.slice(0, -1)));
      const rank = (pattern: string) =>
        pattern === '*' ? 0 : pattern.startsWith('*') ? 2000 + pattern.length : pattern.endsWith('*') ? 1000 + pattern.length : 3000;
      const expected = domains.filter(holds).sort((a, b) => rank(b) - rank(a))[0];
      assert.equal(table.match(host), expected);
    }),
    { seed: 1 },
  );
});

test('a domain that is there twice, and a wildcard inside, are refused', () => {
  for (const domains of [['a', 'A'], ['*', '*'], ['*.a', '*.A'], ['a*b'], ['*a*']]) {
    assert.throws(
      () => compileRouteConfiguration(config({ virtualHosts: [{ name: 'x', domains }] })),
      { code: 'xds-invalid' },
      domains.join(),
    );
  }
});

test('paths', () => {
  const table = routes(
    { match: { path: '/exact' }, ...to('exact') },
    { match: { path: '/MiXed', caseSensitive: false }, ...to('mixed') },
    { match: { pathSeparatedPrefix: '/sep' }, ...to('separated') },
    { match: { prefix: '/pre' }, ...to('prefix') },
    { match: { safeRegex: { regex: '/re/[0-9]+' } }, ...to('regex') },
    { match: { connectMatcher: {} }, ...to('connect') },
    { match: { prefix: '/' }, ...to('rest') },
  );
  const expected = {
    '/exact': 'exact',
    '/exact?q=1': 'exact',
    '/exact#f': 'exact',
    '/exact/': 'rest',
    '/Exact': 'rest',
    '/mIXED': 'mixed',
    '/sep': 'separated',
    '/sep/x': 'separated',
    '/sepx': 'rest',
    '/prefix': 'prefix',
    '/re/12': 'regex',
    '/re/12?a': 'regex',
    '/re/12/3': 'rest',
    '/x/re/12': 'rest',
  };
  for (const [path, cluster] of Object.entries(expected)) assert.equal(clusterOf(table, request(path)), cluster, path);
  assert.equal(clusterOf(table, request('*')), undefined);
  assert.equal(clusterOf(table, request('', { method: 'CONNECT', authority: 'a:443' })), 'connect');
  assert.equal(clusterOf(routes({ match: { prefix: '/' }, ...to('x') }), request('', { method: 'CONNECT' })), undefined);
});

test("a user's regex takes time in proportion to the text, whatever it is", () => {
  const table = routes({ match: { safeRegex: { regex: '/(a|a)*(a*)*b' } }, ...to('x') });
  assert.equal(clusterOf(table, request(`/${'a'.repeat(5000)}`)), undefined);
  assert.equal(clusterOf(table, request(`/${'a'.repeat(5000)}b`)), 'x');
});

test('path parameters are ignored where asked for', () => {
  const table = compileRouteConfiguration(
    config({
      ignorePathParametersInPathMatching: true,
      virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { path: '/a' }, ...to('a') }] }],
    }),
  );
  assert.equal(clusterOf(table, request('/a;b=c?d')), 'a');
});

test('headers', () => {
  const holds = (matcher: JsonObject, ...pairs: string[]) =>
    clusterOf(routes({ match: { prefix: '/', headers: [{ name: 'X-A', ...matcher }] }, ...to('x') }), request('/', { pairs })) === 'x';
  assert.equal(holds({ stringMatch: { exact: 'v' } }, 'x-a', 'v'), true);
  assert.equal(holds({ stringMatch: { exact: 'v' } }, 'x-a', 'V'), false);
  assert.equal(holds({ stringMatch: { exact: 'v', ignoreCase: true } }, 'x-a', 'V'), true);
  assert.equal(holds({ exactMatch: 'v' }, 'x-a', 'u', 'x-a', 'v'), true);
  assert.equal(holds({ exactMatch: 'u,v' }, 'x-a', 'u', 'x-a', 'v'), true);
  assert.equal(holds({ prefixMatch: 'ab' }, 'x-a', 'abc'), true);
  assert.equal(holds({ suffixMatch: 'bc' }, 'x-a', 'abc'), true);
  assert.equal(holds({ containsMatch: 'b' }, 'x-a', 'abc'), true);
  for (const matcher of [
    { exactMatch: 'abc' },
    { prefixMatch: 'ab' },
    { suffixMatch: 'bc' },
    { containsMatch: 'b' },
  ] as readonly JsonObject[])
    assert.equal(holds(matcher, 'x-a', 'ABC'), false, JSON.stringify(matcher));
  assert.equal(holds({ safeRegexMatch: { regex: 'a.c' } }, 'x-a', 'xabc'), false);
  assert.equal(holds({ rangeMatch: { start: '-3', end: '10' } }, 'x-a', '-3'), true);
  assert.equal(holds({ rangeMatch: { start: '-3', end: '10' } }, 'x-a', '10'), false);
  assert.equal(holds({ rangeMatch: { start: '0', end: '10' } }, 'x-a', 'five'), false);
  assert.equal(holds({ presentMatch: true }, 'x-a', ''), true);
  assert.equal(holds({ presentMatch: true }), false);
  assert.equal(holds({ presentMatch: false }), true);
  assert.equal(holds({ presentMatch: true, invertMatch: true }), true);
  assert.equal(holds({}, 'x-a', '1'), true);
  assert.equal(holds({ exactMatch: 'v', invertMatch: true }, 'x-a', 'u'), true);
  assert.equal(holds({ exactMatch: 'v', invertMatch: true }), false);
  assert.equal(holds({ exactMatch: 'v', invertMatch: true, treatMissingHeaderAsEmpty: true }), true);
  assert.equal(holds({ stringMatch: { exact: '' }, treatMissingHeaderAsEmpty: true }), true);
  const pseudo = (name: string, exact: string) =>
    clusterOf(routes({ match: { prefix: '/', headers: [{ name, stringMatch: { exact } }] }, ...to('x') }), request('/p?q')) === 'x';
  assert.equal(pseudo(':method', 'GET'), true);
  assert.equal(pseudo(':authority', 'a.example'), true);
  assert.equal(pseudo(':path', '/p?q'), true);
  assert.equal(pseudo(':scheme', 'https'), false);
});

test('query parameters: the first value, not decoded', () => {
  const holds = (matcher: JsonObject, path: string) =>
    clusterOf(routes({ match: { prefix: '/', queryParameters: [{ name: 'k', ...matcher }] }, ...to('x') }), request(path)) === 'x';
  assert.equal(holds({ stringMatch: { exact: 'v' } }, '/?k=v&k=w'), true);
  assert.equal(holds({ stringMatch: { exact: 'w' } }, '/?k=v&k=w'), false);
  assert.equal(holds({ stringMatch: { exact: 'a b' } }, '/?k=a%20b'), false);
  assert.equal(holds({ stringMatch: { exact: '' } }, '/?k'), true);
  assert.equal(holds({ presentMatch: true }, '/?kk=1&k'), true);
  assert.equal(holds({ presentMatch: true }, '/?kk=1'), false);
  assert.equal(holds({ presentMatch: false }, '/?kk=1'), true);
  assert.equal(holds({}, '/?k=1'), true);
});

test('fractions, gRPC and TLS', () => {
  const fraction = routes(
    { match: { prefix: '/', runtimeFraction: { defaultValue: { numerator: 25, denominator: 'HUNDRED' } } }, ...to('x') },
    { match: { prefix: '/' }, ...to('y') },
  );
  assert.equal(clusterOf(fraction, request('/', { random: 124 })), 'x');
  assert.equal(clusterOf(fraction, request('/', { random: 125 })), 'y');
  const grpc = routes({ match: { prefix: '/', grpc: {} }, ...to('x') });
  assert.equal(clusterOf(grpc, request('/', { pairs: ['content-type', 'application/grpc+proto'] })), 'x');
  assert.equal(clusterOf(grpc, request('/', { pairs: ['content-type', 'application/grpc-web'] })), undefined);
  const tls = routes({ match: { prefix: '/', tlsContext: { presented: true } }, ...to('x') });
  assert.equal(clusterOf(tls, request('/')), undefined);
  assert.equal(clusterOf(tls, request('/', { tls: { presented: true, validated: false } })), 'x');
});

test('weighted clusters by the random number, or by a header', () => {
  const table = routes({
    match: { prefix: '/' },
    route: {
      weightedClusters: {
        clusters: [
          { name: 'a', weight: 1 },
          { name: 'b', weight: 3 },
        ],
        headerName: 'x-random',
      },
    },
  });
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((random) => clusterOf(table, request('/', { random }))),
    ['a', 'b', 'b', 'b', 'a'],
  );
  assert.equal(clusterOf(table, request('/', { random: 3, pairs: ['x-random', '8'] })), 'a');
  assert.throws(() => routes({ match: { prefix: '/' }, route: { weightedClusters: { clusters: [{ name: 'a', weight: 0 }] } } }), {
    code: 'xds-invalid',
  });
});

test('cluster_header', () => {
  const table = routes({ match: { prefix: '/' }, route: { clusterHeader: 'X-To' } });
  assert.equal(clusterOf(table, request('/', { pairs: ['x-to', 'c'] })), 'c');
  assert.equal(clusterOf(table, request('/')), undefined);
});

const forward = (route: JsonObject, match: JsonObject = { prefix: '/' }, host: JsonObject = {}): ForwardAction => {
  const table = compileRouteConfiguration(
    config({ virtualHosts: [{ name: 'vh', domains: ['*'], ...host, routes: [{ match, route: { cluster: 'c', ...route } }] }] }),
  );
  const action = table.virtualHosts[0]!.routes[0]!.action;
  assert.equal(action.kind, 'forward');
  return action as ForwardAction;
};

test('rewrites', () => {
  assert.equal(forward({ prefixRewrite: '/' }, { prefix: '/strip' }).rewritePath('/strip/x?q'), '//x?q');
  assert.equal(forward({ prefixRewrite: '/new' }, { path: '/old' }).rewritePath('/old?q=1'), '/new?q=1');
  assert.equal(forward({ prefixRewrite: '/new' }, { pathSeparatedPrefix: '/old' }).rewritePath('/old/x'), '/new/x');
  assert.equal(forward({ prefixRewrite: '/n' }, { safeRegex: { regex: '/.*' } }).rewritePath('/a/b?q'), '/n?q');
  const regex = { regexRewrite: { pattern: { regex: '^/service/([^/]+)(/.*)$' }, substitution: '\\2/instance/\\1\\\\' } };
  assert.equal(forward(regex).rewritePath('/service/foo/v1/api?a=/service/'), '/v1/api/instance/foo\\?a=/service/');
  assert.equal(forward(regex).rewritePath('/else?a'), '/else?a');
  assert.equal(forward({}).rewritesPath, false);
  assert.throws(() => forward({ regexRewrite: { pattern: { regex: 'a' }, substitution: '\\1' } }), { code: 'xds-invalid' });
  const host = (route: JsonObject, asked: RouteRequest) => {
    const { hostRewrite } = forward(route);
    return hostRewrite?.kind === 'value' ? hostRewrite.rewrite(asked) : hostRewrite?.kind;
  };
  assert.equal(host({ hostRewriteLiteral: 'h' }, request('/')), 'h');
  assert.equal(host({ autoHostRewrite: true }, request('/')), 'auto');
  assert.equal(host({ autoHostRewrite: false }, request('/')), undefined);
  assert.equal(host({ hostRewriteHeader: 'X-H' }, request('/', { pairs: ['x-h', 'z'] })), 'z');
  assert.equal(
    host({ hostRewritePathRegex: { pattern: { regex: '^/([a-z]+).*$' }, substitution: '\\1.example' } }, request('/ab/c?d')),
    'ab.example',
  );
});

test('timeouts, retries and mirrors', () => {
  assert.equal(forward({}).timeoutMs, 15_000);
  assert.equal(forward({ timeout: '0s' }).timeoutMs, 0);
  assert.equal(forward({ timeout: '1.5s' }).timeoutMs, 1500);
  assert.equal(forward({ idleTimeout: '2s', maxStreamDuration: { grpcTimeoutHeaderMax: '0s' } }).idleTimeoutMs, 2000);
  const { retry } = forward({
    retryPolicy: {
      retryOn: 'connect-failure, retriable-headers,nonsense',
      numRetries: 2,
      perTryTimeout: '0.25s',
      retriableStatusCodes: [503],
      retriableHeaders: [{ name: 'x-retry' }],
      retryBackOff: { baseInterval: '0.010s' },
      retryHostPredicate: [{ name: 'envoy.retry_host_predicates.previous_hosts' }],
      hostSelectionRetryMaxAttempts: '5',
    },
  });
  assert.deepEqual([...retry!.on], ['connect-failure', 'retriable-headers']);
  assert.deepEqual([retry!.retries, retry!.perTryTimeoutMs, retry!.baseIntervalMs, retry!.maxIntervalMs], [2, 250, 10, 100]);
  assert.deepEqual([retry!.avoidPreviousHosts, retry!.avoidPreviousPriorities, retry!.hostSelectionAttempts], [true, false, 5]);
  assert.equal(retry!.matchesResponse(new HeaderMap(['x-retry', '1'])), true);
  assert.equal(retry!.matchesResponse(new HeaderMap()), false);
  assert.equal(forward({}, undefined, { retryPolicy: { retryOn: '5xx' } }).retry?.retries, 1);
  const [mirror] = forward({
    requestMirrorPolicies: [{ cluster: 'm', runtimeFraction: { defaultValue: { numerator: 1 } }, disableShadowHostSuffixAppend: true }],
  }).mirrors;
  assert.deepEqual([mirror!.cluster, mirror!.appendShadowSuffix, mirror!.applies(100), mirror!.applies(101)], ['m', false, true, false]);
});

test('redirects', () => {
  const location = (redirect: JsonObject, asked: RouteRequest, match: JsonObject = { prefix: '/' }) => {
    const action = routes({ match, redirect }).match(asked)?.action;
    assert.equal(action?.kind, 'redirect');
    return action?.kind === 'redirect' ? `${action.status} ${action.location(asked)}` : '';
  };
  const at = (authority: string, scheme = 'http') => request('/a/b?q=1', { authority, scheme });
  assert.equal(location({ hostRedirect: 'new' }, at('old:8080')), '301 http://new/a/b?q=1');
  assert.equal(location({ httpsRedirect: true }, at('h:80')), '301 https://h/a/b?q=1');
  assert.equal(location({ httpsRedirect: true }, at('h:8080')), '301 https://h:8080/a/b?q=1');
  assert.equal(location({ schemeRedirect: 'http', responseCode: 'FOUND' }, at('h:443', 'https')), '302 http://h/a/b?q=1');
  assert.equal(location({ portRedirect: 8443, responseCode: 'PERMANENT_REDIRECT' }, at('[::1]:80')), '308 http://[::1]:8443/a/b?q=1');
  assert.equal(location({ pathRedirect: '/x' }, at('h')), '301 http://h/x?q=1');
  assert.equal(location({ pathRedirect: '/x?y', stripQuery: true }, at('h')), '301 http://h/x?y');
  assert.equal(location({ prefixRewrite: '/z', stripQuery: true }, at('h'), { prefix: '/a' }), '301 http://h/z/b');
  assert.equal(location({ regexRewrite: { pattern: { regex: 'b$' }, substitution: 'c' } }, at('h')), '301 http://h/a/c?q=1');
});

test('require_tls redirects plain requests and keeps the port', () => {
  const table = (requireTls: string) =>
    compileRouteConfiguration(
      config({ virtualHosts: [{ name: 'v', domains: ['*'], requireTls, routes: [{ match: { prefix: '/' }, ...to('x') }] }] }),
    );
  const plain = request('/p?q', { authority: 'h:80' });
  const action = table('ALL').match(plain)?.action;
  assert.equal(action?.kind === 'redirect' && `${action.status} ${action.location(plain)}`, '301 https://h:80/p?q');
  assert.equal(clusterOf(table('ALL'), request('/', { scheme: 'https', pairs: ['x-forwarded-proto', 'https'] })), 'x');
  // HTTP/2 names the scheme of the client before the proxy before this one.
  assert.equal(clusterOf(table('ALL'), request('/', { scheme: 'https', pairs: ['x-forwarded-proto', 'http'] })), 'redirect');
  assert.equal(clusterOf(table('EXTERNAL_ONLY'), request('/', { internal: true })), 'x');
  assert.equal(clusterOf(table('EXTERNAL_ONLY'), plain), 'redirect');
});

test('direct responses', () => {
  const table = routes({
    match: { prefix: '/' },
    directResponse: { status: 503, body: { inlineString: 'no ✓' } },
    metadata: {
      filterMetadata: { sallyport: { refusal: 'because', origins: [{ kind: 'VirtualService', namespace: 'a', name: 'b', line: 3 }] } },
    },
  });
  const route = table.match(request('/'))!;
  const { action } = route;
  assert.equal(action.kind, 'direct-response');
  if (action.kind !== 'direct-response') return;
  assert.equal(Buffer.from(action.body!).toString(), 'no ✓');
  assert.deepEqual([action.status, action.refusal], [503, 'because']);
  assert.deepEqual(route.origins, [{ kind: 'VirtualService', namespace: 'a', name: 'b', file: undefined, line: 3 }]);
  assert.throws(() => routes({ match: { prefix: '/' }, directResponse: { status: 99 } }), { code: 'xds-invalid' });
  assert.throws(() => routes({ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: 'x'.repeat(4097) } } }), {
    message: /4097 bytes, the limit is 4096/,
  });
});

test('header changes: removals first, weighted cluster, route, virtual host, configuration; formats see the headers as they were', () => {
  const add = (key: string, value: string, appendAction = 'APPEND_IF_EXISTS_OR_ADD') => ({ header: { key, value }, appendAction });
  const json = {
    requestHeadersToAdd: [add('x-level', 'config')],
    virtualHosts: [
      {
        name: 'v',
        domains: ['*'],
        requestHeadersToAdd: [add('x-level', 'host')],
        requestHeadersToRemove: ['X-Gone'],
        routes: [
          {
            match: { prefix: '/' },
            requestHeadersToAdd: [
              add('x-level', 'route'),
              add('x-old', '%REQ(x-set)%'),
              add('x-set', 'new', 'OVERWRITE_IF_EXISTS_OR_ADD'),
              add('x-absent', 'a', 'ADD_IF_ABSENT'),
              add('x-there', 'b', 'ADD_IF_ABSENT'),
              add('x-none', 'c', 'OVERWRITE_IF_EXISTS'),
              add('x-peer', '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'),
              add('x-empty', '%REQ(x-nothing)%'),
              add('host', 'changed', 'OVERWRITE_IF_EXISTS_OR_ADD'),
            ],
            responseHeadersToRemove: ['server'],
            route: { weightedClusters: { clusters: [{ name: 'c', weight: 1, requestHeadersToAdd: [add('x-level', 'cluster')] }] } },
          },
        ],
      },
    ],
  };
  const run = (most: boolean) => {
    const table = compileRouteConfiguration(config({ ...json, mostSpecificHeaderMutationsWins: most }));
    const headers = new HeaderMap(['x-set', 'old', 'x-there', '1', 'x-gone', '1']);
    const asked = { ...request('/'), headers };
    const route = table.match(asked)!;
    const target = { authority: 'a', path: '/', method: 'GET' };
    const record = { ...SAMPLE_RECORD, requestHeaders: headers };
    const choice = (route.action as ForwardAction).choose(asked)!;
    choice.requestMutations!.apply(headers, record, target);
    route.requestMutations!.apply(headers, record, target);
    return { headers, target, route };
  };
  const { headers, target, route } = run(false);
  assert.deepEqual(headers.all('x-level'), ['cluster', 'route', 'host', 'config']);
  assert.deepEqual(run(true).headers.all('x-level'), ['cluster', 'config', 'host', 'route']);
  assert.deepEqual(headers.all('x-set'), ['new']);
  assert.deepEqual(headers.all('x-old'), ['old']);
  assert.deepEqual(
    ['x-absent', 'x-there', 'x-none', 'x-peer', 'x-empty', 'x-gone'].map((name) => headers.get(name)),
    ['a', '1', undefined, '10.0.0.1', undefined, undefined],
  );
  assert.equal(target.authority, 'changed');
  const response = new HeaderMap(['server', 'x', 'a', 'b']);
  route.responseMutations!.apply(response, SAMPLE_RECORD);
  assert.deepEqual(response.flat, ['a', 'b']);
  assert.throws(() => routes({ match: { prefix: '/' }, ...to('x'), requestHeadersToRemove: [':path'] }), { code: 'xds-invalid' });
  assert.throws(() => routes({ match: { prefix: '/' }, ...to('x'), requestHeadersToAdd: [add('x', '%NOPE%')] }), {
    code: 'xds-unsupported',
    message: /virtual host "vh", route 0/,
  });
});

test('per-route filter configuration: the nearest level, decoded once', () => {
  const fault = (percent: number) => anyPack(HTTPFaultSchema, create(HTTPFaultSchema, { maxActiveFaults: percent }));
  const rc = config({ virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, ...to('x') }] }] });
  rc.typedPerFilterConfig = { f: fault(1), g: fault(2) };
  rc.virtualHosts[0]!.typedPerFilterConfig = {
    f: fault(3),
    off: anyPack(FilterConfigSchema, create(FilterConfigSchema, { disabled: true })),
    on: anyPack(FilterConfigSchema, create(FilterConfigSchema, { config: {} })),
    struct: anyPack(
      TypedStructSchema,
      create(TypedStructSchema, { typeUrl: `type.googleapis.com/${HTTPFaultSchema.typeName}`, value: { max_active_faults: 4 } }),
    ),
  };
  const asked = request('/');
  const route = compileRouteConfiguration(rc).match(asked)!;
  const first = route.filterConfig('f', HTTPFaultSchema, asked);
  assert.equal(first !== 'disabled' && first?.maxActiveFaults, 3);
  assert.equal(route.filterConfig('f', HTTPFaultSchema, asked), first);
  const outer = route.filterConfig('g', HTTPFaultSchema, asked);
  assert.equal(outer !== 'disabled' && outer?.maxActiveFaults, 2);
  assert.equal(route.filterConfig('off', HTTPFaultSchema, asked), 'disabled');
  assert.equal(route.filterConfig('none', HTTPFaultSchema, asked), undefined);
  assert.equal(route.filterConfig('on', HTTPFaultSchema, asked), undefined);
  const written = route.filterConfig('struct', HTTPFaultSchema, asked);
  assert.equal(written !== 'disabled' && written?.maxActiveFaults, 4);
  assert.throws(() => route.filterConfig('f', FilterConfigSchema, asked), { code: 'xds-type-mismatch' });
  assert.deepEqual(
    ['f', 'off', 'on', 'none'].map((name) => route.enablesFilter(name, asked)),
    [true, false, true, undefined],
  );
});

test('per-route filter configuration: that of the weighted cluster which is chosen is the nearest', () => {
  const fault = (percent: number) => anyPack(HTTPFaultSchema, create(HTTPFaultSchema, { maxActiveFaults: percent }));
  const clusters = [
    { name: 'plain', weight: 1 },
    { name: 'own', weight: 1 },
  ];
  const rc = config({
    virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { weightedClusters: { clusters } } }] }],
  });
  rc.typedPerFilterConfig = { f: fault(1) };
  const { action } = rc.virtualHosts[0]!.routes[0]!;
  assert.ok(action.case === 'route' && action.value.clusterSpecifier.case === 'weightedClusters');
  action.value.clusterSpecifier.value.clusters[1]!.typedPerFilterConfig = { f: fault(2) };
  const table = compileRouteConfiguration(rc);
  const found = [0, 1].map((random) => {
    const asked = { ...request('/'), random };
    const own = table.match(asked)!.filterConfig('f', HTTPFaultSchema, asked);
    return own !== 'disabled' && own?.maxActiveFaults;
  });
  assert.deepEqual(found, [1, 2]);
});

test('what is not supported is refused with its place', () => {
  const refused: JsonObject[] = [
    { match: { prefix: '/', dynamicMetadata: [{ filter: 'x' }] }, ...to('x') },
    { match: { pathMatchPolicy: { name: 'template' } }, ...to('x') },
    { match: { prefix: '/' }, route: { cluster: 'x', internalRedirectPolicy: {} } },
    { match: { prefix: '/' }, route: { clusterSpecifierPlugin: 'x' } },
    { match: { prefix: '/' }, route: { cluster: 'x', hashPolicy: [{ filterState: { key: 'x' } }] } },
    { match: { prefix: '/' }, route: { cluster: 'x', retryPolicy: { retryHostPredicate: [{ name: 'other' }] } } },
    { match: { prefix: '/' }, route: { cluster: 'x', retryPolicy: { perTryIdleTimeout: '1s' } } },
    { match: { prefix: '/' }, route: { cluster: 'x', cors: { maxAge: '1' } } },
  ];
  for (const route of refused)
    assert.throws(() => routes({ name: 'r', ...route }), { code: 'xds-unsupported', message: /virtual host "vh", route "r": / });
  const invalid: JsonObject[] = [
    { match: { prefix: '/' } },
    { match: {}, ...to('x') },
    { ...to('x') },
    { match: { safeRegex: { regex: '(' } }, ...to('x') },
  ];
  for (const route of invalid) assert.throws(() => routes(route), { code: 'xds-invalid' });
});

test('hash policies', () => {
  // Reference values of XXH64 with seed 0.
  assert.equal(xxHash64(''), 0xef46db3751d8e999n);
  assert.equal(xxHash64('a'), 0xd24ec4f1a98c6e5bn);
  assert.equal(xxHash64('abc'), 0x44bc2cf5ad770999n);
  assert.equal(xxHash64('Nobody inspects the spammish repetition'), 0xfbcea83c8a378bf1n);
  const { hashPolicies } = forward({
    hashPolicy: [
      { header: { headerName: 'X-User' }, terminal: true },
      { cookie: { name: 'c', ttl: '60s', path: '/p' } },
      { connectionProperties: { sourceIp: true } },
    ],
  });
  const fresh = () => 'fresh';
  const byHeader = hashRequest(hashPolicies, request('/', { pairs: ['x-user', 'abc'] }), '10.0.0.1', fresh);
  assert.deepEqual(byHeader, { hash: xxHash64('abc'), setCookie: undefined });
  const made = hashRequest(hashPolicies, request('/'), '10.0.0.1', fresh);
  assert.equal(made.setCookie, 'c="fresh"; Max-Age=60; Path=/p; HttpOnly');
  const back = hashRequest(hashPolicies, request('/', { pairs: ['cookie', 'a=b; c="fresh"'] }), '10.0.0.1', fresh);
  assert.deepEqual(back, { hash: made.hash, setCookie: undefined });
  assert.notEqual(hashRequest(hashPolicies, request('/', { pairs: ['cookie', 'c=fresh'] }), '10.0.0.2', fresh).hash, made.hash);
  assert.equal(hashRequest([], request('/'), '10.0.0.1', fresh).hash, undefined);
});
