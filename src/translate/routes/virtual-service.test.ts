import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toJson } from '@bufbuild/protobuf';
import { entry, routesOf, SIDECAR, translated } from '../../../test/support/translated.ts';
import type { HttpRedirect } from '../../api/virtual-service.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import { type RedirectAction, type Route, RouteMatchSchema, RouteSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { typeRegistry } from '../../xds/type-registry.ts';
import { redirectAction } from './actions.ts';

/** The routes of the `http` rules of a VirtualService for a.example.com. */
function routes(http: string, more = '', proxy: ProxyIdentity = SIDECAR, settings: Record<string, unknown> = {}): Route[] {
  const indented = http.trim().replaceAll('\n', '\n    ');
  const text = `${entry('a.example.com', ['80 HTTP'])}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: v, namespace: default }
spec:
  hosts: [a.example.com]
  http:
    ${indented}
---
${more}`;
  return routesOf(translated(text, proxy, settings), '80').virtualHosts.find(({ name }) => name === 'a.example.com:80')!.routes;
}

const json = (route: Route | undefined) =>
  toJson(RouteSchema, route!, { registry: typeRegistry }) as Record<string, Record<string, unknown>>;
const TO_B = 'route: [{ destination: { host: b.example.com } }]';

/** The match of one request as JSON, without the path and case that it has anyway. */
function matched(request: string): unknown {
  const [route] = routes(`- { match: [${request}], ${TO_B} }`);
  const { prefix, caseSensitive, ...rest } = toJson(RouteMatchSchema, route!.match!) as Record<string, unknown>;
  return rest;
}

test('each kind of match has its counterpart', () => {
  const uri = (request: string) => toJson(RouteMatchSchema, routes(`- { match: [{ uri: ${request} }], ${TO_B} }`)[0]!.match!);
  assert.deepEqual(uri('{ exact: /x }'), { path: '/x', caseSensitive: true });
  assert.deepEqual(uri('{ prefix: /x }'), { prefix: '/x', caseSensitive: true });
  assert.deepEqual(uri('{ regex: "/x.*" }'), { safeRegex: { regex: '/x.*' }, caseSensitive: true });
  const header = (name: string, specifier: object) => ({ headers: [{ name, ...specifier }] });
  assert.deepEqual(matched('{ headers: { x-a: { exact: v } } }'), header('x-a', { stringMatch: { exact: 'v' } }));
  assert.deepEqual(matched('{ headers: { x-a: {} } }'), header('x-a', { presentMatch: true }));
  assert.deepEqual(matched('{ method: { exact: GET } }'), header(':method', { stringMatch: { exact: 'GET' } }));
  assert.deepEqual(matched('{ authority: { prefix: a. } }'), header(':authority', { stringMatch: { prefix: 'a.' } }));
  assert.deepEqual(matched('{ scheme: { exact: https } }'), header(':scheme', { stringMatch: { exact: 'https' } }));
  assert.deepEqual(
    matched('{ withoutHeaders: { x-a: { exact: v } } }'),
    header('x-a', { stringMatch: { exact: 'v' }, invertMatch: true, treatMissingHeaderAsEmpty: true }),
  );
  assert.deepEqual(matched('{ withoutHeaders: { x-a: {} } }'), header('x-a', { presentMatch: true, invertMatch: true }));
  assert.deepEqual(matched('{ queryParams: { q: { exact: "1" }, p: {} } }'), {
    queryParameters: [
      { name: 'p', presentMatch: true },
      { name: 'q', stringMatch: { exact: '1' } },
    ],
  });
});

test('ignoreUriCase, the name and the stat prefix of a match', () => {
  const [route] = routes(`- { name: r, match: [{ name: m, statPrefix: s, ignoreUriCase: true, uri: { prefix: /A } }], ${TO_B} }`);
  assert.equal(route!.match!.caseSensitive, false);
  assert.equal(route!.name, 'r.m');
  assert.equal(route!.statPrefix, 's');
});

test('the order of rules and matches stays, and nothing follows what takes everything', () => {
  const got = routes(`
- { name: one, match: [{ name: b, uri: { prefix: /b } }, { name: a, uri: { exact: /a } }], ${TO_B} }
- { name: all, ${TO_B} }
- { name: never, match: [{ uri: { prefix: /c } }], ${TO_B} }`);
  assert.deepEqual(
    got.map(({ name }) => name),
    ['one.b', 'one.a', 'all'],
  );
  const byRegex = routes(`- { name: all, match: [{ uri: { regex: ".*" } }], ${TO_B} }\n- { name: never, ${TO_B} }`);
  assert.deepEqual(
    byRegex.map(({ name }) => name),
    ['all'],
  );
  const byHeader = routes(`- { name: some, match: [{ uri: { prefix: / }, headers: { x: {} } }], ${TO_B} }\n- { name: rest, ${TO_B} }`);
  assert.equal(byHeader.length, 2);
});

test('conditions on the source and the port choose the rules of this proxy', () => {
  const names = (match: string) =>
    routes(`- { name: chosen, match: [${match}], ${TO_B} }\n- { name: rest, ${TO_B} }`).map(({ name }) => name);
  const chosen = ['chosen', 'rest'];
  const matches = ['sourceLabels: { version: v1 }', 'sourceNamespace: default', 'port: 80', 'gateways: [mesh], sourceNamespace: elsewhere'];
  for (const match of matches) assert.deepEqual(names(`{ uri: { exact: /x }, ${match} }`), chosen, match);
  const others = ['sourceLabels: { version: v2 }', 'sourceNamespace: elsewhere', 'port: 81', 'gateways: [istio-system/egress]'];
  for (const match of others) assert.deepEqual(names(`{ uri: { exact: /x }, ${match} }`), ['rest'], match);
});

test('forwarding: no timeout and Istio’s retries unless the rule says otherwise', () => {
  const { route } = json(routes(`- { ${TO_B} }`)[0]);
  assert.deepEqual(route, {
    cluster: 'outbound|80||b.example.com',
    timeout: '0s',
    maxGrpcTimeout: '0s',
    retryPolicy: {
      retryOn: 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes',
      numRetries: 2,
      hostSelectionRetryMaxAttempts: '5',
      retryHostPredicate: [
        {
          name: 'envoy.retry_host_predicates.previous_hosts',
          typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate' },
        },
      ],
    },
  });
  const own = json(routes(`- { ${TO_B}, timeout: 1.5s, retries: { attempts: 3, perTryTimeout: 250ms, retryOn: "5xx,418" } }`)[0]).route!;
  assert.equal(own.timeout, '1.500s');
  const { retryHostPredicate, ...policy } = own.retryPolicy as Record<string, unknown>;
  assert.deepEqual(policy, {
    retryOn: '5xx,retriable-status-codes',
    retriableStatusCodes: [418],
    numRetries: 3,
    perTryTimeout: '0.250s',
    hostSelectionRetryMaxAttempts: '5',
  });
  assert.equal(json(routes(`- { ${TO_B}, retries: { attempts: 0 } }`)[0]).route!.retryPolicy, undefined);
  const byMesh = json(routes(`- { ${TO_B} }`, '', SIDECAR, { defaultHttpRetryPolicy: { attempts: 7 } })[0]).route!.retryPolicy as {
    numRetries: number;
  };
  assert.equal(byMesh.numRetries, 7);
});

test('weights: 0 takes nothing, a single destination needs none', () => {
  const [route] = routes(`
- route:
    - { destination: { host: b.example.com, subset: v1 }, weight: 90, headers: { request: { set: { host: x.test, x-v: '1' } } } }
    - { destination: { host: c.example.com, port: { number: 81 } }, weight: 10 }
    - { destination: { host: d.example.com }, weight: 0 }`);
  assert.deepEqual(json(route).route!.weightedClusters, {
    clusters: [
      {
        name: 'outbound|80|v1|b.example.com',
        weight: 90,
        hostRewriteLiteral: 'x.test',
        requestHeadersToAdd: [{ header: { key: 'x-v', value: '1' }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' }],
      },
      { name: 'outbound|81||c.example.com', weight: 10 },
    ],
  });
  assert.equal(json(route).decorator!.operation, 'v:80/*');
});

test('header operations of rule and destination add up, and the rule’s Host wins', () => {
  const [route] = routes(`
- headers: { request: { set: { b: '2', a: '1', Host: rule.test }, add: { c: '3' }, remove: [d] }, response: { add: { e: '5' }, remove: [f] } }
  route: [{ destination: { host: b.example.com }, headers: { request: { add: { g: '7', ':authority': destination.test } }, response: { set: { h: '8' } } } }]`);
  const added = (list: Route['requestHeadersToAdd']) =>
    list.map(({ header, appendAction }) => `${header?.key}=${header?.value} ${appendAction}`);
  assert.deepEqual(added(route!.requestHeadersToAdd), ['a=1 2', 'b=2 2', 'c=3 0', 'g=7 0']);
  assert.deepEqual(route!.requestHeadersToRemove, ['d']);
  assert.deepEqual(added(route!.responseHeadersToAdd), ['e=5 0', 'h=8 2']);
  assert.deepEqual(route!.responseHeadersToRemove, ['f']);
  assert.equal(json(route).route!.hostRewriteLiteral, 'rule.test');
});

test('rewrites', () => {
  const rewritten = (rewrite: string) => json(routes(`- { match: [{ uri: { prefix: /a } }], rewrite: ${rewrite}, ${TO_B} }`)[0]).route!;
  assert.equal(rewritten('{ uri: / }').prefixRewrite, '/');
  assert.equal(rewritten('{ authority: c.test }').hostRewriteLiteral, 'c.test');
  assert.deepEqual(rewritten('{ uriRegexRewrite: { match: "/a/(.*)", rewrite: "/\\\\1" } }').regexRewrite, {
    pattern: { regex: '/a/(.*)' },
    substitution: '/\\1',
  });
});

test('redirects and direct responses', () => {
  const answer = (rule: string) => {
    const { redirect, directResponse } = json(routes(`- { ${rule} }`)[0]);
    return redirect ?? directResponse;
  };
  assert.deepEqual(answer('redirect: { uri: /x, authority: b.test, redirectCode: 307 }'), {
    hostRedirect: 'b.test',
    pathRedirect: '/x',
    responseCode: 'TEMPORARY_REDIRECT',
  });
  assert.deepEqual(answer('redirect: { scheme: https, port: 443 }'), { schemeRedirect: 'https', pathRedirect: '' });
  assert.deepEqual(answer('redirect: { scheme: https, port: 8443 }'), { schemeRedirect: 'https', portRedirect: 8443, pathRedirect: '' });
  assert.deepEqual(answer('redirect: { scheme: https, derivePort: FROM_REQUEST_PORT }'), {
    schemeRedirect: 'https',
    portRedirect: 80,
    pathRedirect: '',
  });
  assert.deepEqual(answer('redirect: { prefixRewrite: /y, redirectCode: 308 }'), {
    prefixRewrite: '/y',
    responseCode: 'PERMANENT_REDIRECT',
  });
  assert.deepEqual(answer('directResponse: { status: 418, body: { string: tea } }'), { status: 418, body: { inlineString: 'tea' } });
  assert.deepEqual(answer('directResponse: { status: 200, body: { bytes: aGk= } }'), { status: 200, body: { inlineBytes: 'aGk=' } });
});

test('a redirect names no port that is its scheme’s, whose own is that of the listener', () => {
  const port = (redirect: Partial<HttpRedirect>, listenPort: number, tls: boolean) => {
    const { value } = redirectAction({ redirectCode: 301, ...redirect } as HttpRedirect, listenPort, tls);
    return (value as RedirectAction).portRedirect;
  };
  assert.deepEqual([port({ port: 80 }, 8080, false), port({ port: 443 }, 8080, false), port({ port: 81 }, 80, false)], [0, 443, 81]);
  assert.deepEqual([port({ port: 80 }, 8443, true), port({ port: 443 }, 8443, true)], [80, 0]);
  assert.deepEqual([port({ port: 80, scheme: 'https' }, 80, false), port({ port: 443, scheme: 'http' }, 443, true)], [80, 443]);
  const same = { derivePort: 'FROM_REQUEST_PORT' } as const;
  assert.deepEqual([port(same, 80, false), port(same, 8080, false), port(same, 443, true), port(same, 80, true)], [0, 8080, 0, 80]);
  assert.equal(port({ derivePort: 'FROM_PROTOCOL_DEFAULT' }, 8080, false), 0);
});

test('faults and CORS stand in the route', () => {
  const [route] = routes(`
- fault: { delay: { fixedDelay: 2s, percentage: { value: 12.5 } }, abort: { httpStatus: 503 } }
  corsPolicy: { allowOrigins: [{ exact: https://a.test }], allowMethods: [GET, POST], maxAge: 24h, allowCredentials: true }
  ${TO_B}`);
  const { typedPerFilterConfig } = json(route);
  assert.deepEqual(typedPerFilterConfig!['envoy.filters.http.fault'], {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault',
    delay: { fixedDelay: '2s', percentage: { numerator: 125_000, denominator: 'MILLION' } },
    // Without a percentage it never fires.
    abort: { httpStatus: 503 },
  });
  assert.deepEqual(typedPerFilterConfig!['envoy.filters.http.cors'], {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy',
    allowOriginStringMatch: [{ exact: 'https://a.test' }],
    allowMethods: 'GET,POST',
    maxAge: '86400',
    allowCredentials: true,
    forwardNotMatchingPreflights: true,
    filterEnabled: { defaultValue: { numerator: 100 } },
  });
});

test('a hash policy follows from the DestinationRule, and a retry then goes to the same host', () => {
  const rule = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: b, namespace: default }
spec:
  host: b.example.com
  trafficPolicy: { loadBalancer: { consistentHash: { httpHeaderName: x-user } } }
  subsets: [{ name: v1, trafficPolicy: { loadBalancer: { consistentHash: { httpCookie: { name: c, ttl: 0s } } } } }]
---
`;
  const action = (subset: string) =>
    json(routes(`- { route: [{ destination: { host: b.example.com${subset} } }] }`, entry('b.example.com', ['80 HTTP']) + rule)[0]).route!;
  assert.deepEqual(action('').hashPolicy, [{ header: { headerName: 'x-user' } }]);
  assert.deepEqual(action(', subset: v1').hashPolicy, [{ cookie: { name: 'c', ttl: '0s' } }]);
  assert.equal((action('').retryPolicy as Record<string, unknown>).retryHostPredicate, undefined);
});

test('mirrors: all requests unless a percentage says otherwise, none at 0', () => {
  const mirrored = (rule: string) => {
    const policies = (json(routes(`- { ${rule}, ${TO_B} }`)[0]).route!.requestMirrorPolicies ?? []) as {
      cluster: string;
      runtimeFraction: { defaultValue: { numerator: number } };
      disableShadowHostSuffixAppend: boolean;
    }[];
    assert.ok(policies.every((policy) => policy.disableShadowHostSuffixAppend));
    return policies.map(({ cluster, runtimeFraction }) => `${cluster} ${runtimeFraction.defaultValue.numerator}`);
  };
  assert.deepEqual(mirrored('mirror: { host: m.example.com }'), ['outbound|80||m.example.com 1000000']);
  assert.deepEqual(mirrored('mirror: { host: m.example.com }, mirrorPercentage: { value: 50 }'), ['outbound|80||m.example.com 500000']);
  const two =
    '{ destination: { host: n.example.com, port: { number: 81 } } }, { destination: { host: o.example.com }, percentage: { value: 0 } }';
  assert.deepEqual(mirrored(`mirrors: [${two}]`), ['outbound|81||n.example.com 1000000']);
});
