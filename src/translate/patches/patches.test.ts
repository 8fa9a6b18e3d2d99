import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { chains, entry, httpOf, listenerOf, meshOf, ROUTER, routesOf, SIDECAR, translated } from '../../../test/support/translated.ts';
import { HttpProtocolOptionsSchema } from '../../xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
import { typeNameOf } from '../../xds/unpack.ts';
import { translate } from '../index.ts';

const HOST = entry('a.example.com', ['80 HTTP', '443 TLS', '6379 TCP']);
const GATEWAY = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: istio-system }
spec: { selector: { istio: egressgateway }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: [a.example.com] }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: v, namespace: istio-system }
spec:
  hosts: [a.example.com]
  gateways: [g]
  http:
  - { name: first, match: [{ uri: { prefix: /first } }], route: [{ destination: { host: a.example.com } }] }
  - { name: gone, match: [{ uri: { prefix: /gone } }], redirect: { uri: / } }
---
`;
const MANAGER = 'envoy.filters.network.http_connection_manager';
const TYPES = 'type.googleapis.com/envoy.extensions.filters';

interface Given {
  readonly name?: string;
  readonly namespace?: string;
  readonly spec?: string;
}

/** An EnvoyFilter with these patches, each in YAML's flow style. */
const filter = (patches: readonly string[], { name = 'f', namespace = 'istio-system', spec = '' }: Given = {}) => `
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  ${spec}
  configPatches:
${patches.map((patch) => `  - ${patch}`).join('\n')}
---
`;

const patch = (applyTo: string, match: string, operation: string, value?: string) =>
  `{ applyTo: ${applyTo}, match: { ${match} }, patch: { operation: ${operation}${value === undefined ? '' : `, value: ${value}`} } }`;
const subFilter = (name: string) => `listener: { filterChain: { filter: { name: ${MANAGER}, subFilter: { name: ${name} } } } }`;

const outbound = (...patches: string[]) => translated(HOST + filter(patches));
const httpFilters = (...patches: string[]) =>
  httpOf(listenerOf(outbound(...patches), '0.0.0.0_80').filterChains[0]!).httpFilters.map(({ name }) => name);
const router = (...patches: string[]) => translated(HOST + GATEWAY + filter(patches), ROUTER);

test('HTTP filters are added, inserted, replaced and removed by name, as Istio places them', () => {
  const before = httpFilters();
  assert.equal(before.at(-1), 'envoy.filters.http.router');
  const cors = 'envoy.filters.http.cors';
  const at = before.indexOf(cors);
  const value = `{ name: own, typed_config: { '@type': ${TYPES}.http.lua.v3.Lua, defaultSourceCode: { inlineString: x } } }`;
  const after = (operation: string, match: string) =>
    httpFilters(patch('HTTP_FILTER', `context: SIDECAR_OUTBOUND, ${match}`, operation, value));
  assert.deepEqual(after('INSERT_BEFORE', subFilter('envoy.filters.http.router')), before.toSpliced(-1, 0, 'own'));
  assert.deepEqual(after('INSERT_BEFORE', subFilter(cors)), before.toSpliced(at, 0, 'own'));
  assert.deepEqual(after('INSERT_AFTER', subFilter(cors)), before.toSpliced(at + 1, 0, 'own'));
  assert.deepEqual(after('INSERT_BEFORE', subFilter('envoy.filters.http.none')), before);
  assert.deepEqual(after('INSERT_BEFORE', `listener: { filterChain: { filter: { name: ${MANAGER} } } }`), ['own', ...before]);
  assert.deepEqual(after('INSERT_FIRST', subFilter(cors)), ['own', ...before]);
  assert.deepEqual(after('INSERT_AFTER', 'listener: {}'), [...before, 'own']);
  assert.deepEqual(after('ADD', subFilter(cors)), [...before, 'own']);
  assert.deepEqual(after('REPLACE', subFilter(cors)), before.with(at, 'own'));
  assert.deepEqual(after('REMOVE', subFilter(cors)), before.toSpliced(at, 1));
  // Without a name nothing is removed or replaced.
  assert.deepEqual(after('REMOVE', 'listener: {}'), before);
  assert.deepEqual(after('REPLACE', 'listener: {}'), before);
  // Of the other side.
  assert.deepEqual(httpFilters(patch('HTTP_FILTER', 'context: SIDECAR_INBOUND', 'INSERT_FIRST', value)), before);
});

test('what is not known here goes to Envoy as its author wrote it', () => {
  const value = `{ name: own, typed_config: { '@type': ${TYPES}.http.lua.v3.Lua, defaultSourceCode: { inlineString: x } } }`;
  const [first] = httpOf(listenerOf(outbound(patch('HTTP_FILTER', '', 'INSERT_FIRST', value)), '0.0.0.0_80').filterChains[0]!).httpFilters;
  assert.ok(first?.configType.case === 'typedConfig');
  assert.equal(first.configType.value.typeUrl, 'type.googleapis.com/xds.type.v3.TypedStruct');
  assert.equal(typeNameOf(first.configType.value), 'envoy.extensions.filters.http.lua.v3.Lua');
});

test('a connection manager is merged: what the patch sets is set, lists are appended to, and false does not replace true', () => {
  const merge = (value: string) =>
    httpOf(
      listenerOf(
        outbound(
          patch(
            'NETWORK_FILTER',
            `context: SIDECAR_OUTBOUND, listener: { filterChain: { filter: { name: ${MANAGER} } } }`,
            'MERGE',
            `{ typed_config: { '@type': ${TYPES}.network.http_connection_manager.v3.HttpConnectionManager, ${value} } }`,
          ),
        ),
        '0.0.0.0_80',
      ).filterChains[0]!,
    );
  const before = httpOf(listenerOf(outbound(), '0.0.0.0_80').filterChains[0]!);
  const after = merge('stream_idle_timeout: 5s, normalize_path: false, upgrade_configs: [{ upgrade_type: CONNECT }]');
  assert.equal(after.streamIdleTimeout?.seconds, 5n);
  assert.deepEqual(
    after.upgradeConfigs.map(({ upgradeType }) => upgradeType),
    [...before.upgradeConfigs.map(({ upgradeType }) => upgradeType), 'CONNECT'],
  );
  assert.equal(before.normalizePath, true);
  assert.equal(after.normalizePath, true);
  assert.equal(after.statPrefix, before.statPrefix);
  // A struct, as older control planes wanted it, of a type that is known.
  const struct = `{ typed_config: { '@type': type.googleapis.com/udpa.type.v1.TypedStruct, type_url: ${TYPES}.network.http_connection_manager.v3.HttpConnectionManager, value: { stream_idle_timeout: 7s } } }`;
  const own = httpOf(
    listenerOf(
      outbound(patch('NETWORK_FILTER', `listener: { filterChain: { filter: { name: ${MANAGER} } } }`, 'MERGE', struct)),
      '0.0.0.0_80',
    ).filterChains[0]!,
  );
  assert.equal(own.streamIdleTimeout?.seconds, 7n);
});

test('clusters are matched by name, or by host, port and subset; merged, added and removed', () => {
  const names = (...patches: string[]) => outbound(...patches).resources.clusters.map(({ name }) => name);
  const timeout = (match: string) => {
    const merge = patch('CLUSTER', match, 'MERGE', '{ connect_timeout: 3s }');
    return outbound(merge).resources.clusters.flatMap(({ name, connectTimeout }) => (connectTimeout?.seconds === 3n ? name : []));
  };
  const all = names();
  assert.deepEqual(timeout('cluster: { service: a.example.com, portNumber: 80 }'), ['outbound|80||a.example.com']);
  assert.deepEqual(timeout('cluster: { service: a.example.com, subset: v1 }'), []);
  assert.deepEqual(timeout('cluster: { name: BlackHoleCluster }'), ['BlackHoleCluster']);
  assert.deepEqual(timeout('context: SIDECAR_INBOUND'), ['InboundPassthroughCluster']);
  assert.deepEqual(timeout('context: GATEWAY'), []);
  assert.deepEqual(
    names(patch('CLUSTER', 'cluster: { service: a.example.com }', 'REMOVE')),
    all.filter((name) => !name.includes('a.example')),
  );
  const added = '{ name: own, type: STRICT_DNS, connect_timeout: 1s }';
  assert.deepEqual(names(patch('CLUSTER', '', 'ADD', added)).toSorted(), [...all, 'own'].toSorted());
  assert.deepEqual(names(patch('CLUSTER', 'context: GATEWAY', 'ADD', added)), all);
  const options = `{ typed_extension_protocol_options: { envoy.extensions.upstreams.http.v3.HttpProtocolOptions: { '@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: { http2_protocol_options: {} } } } }`;
  const cluster = outbound(patch('CLUSTER', 'cluster: { portNumber: 80 }', 'MERGE', options)).resources.clusters.find(({ name }) =>
    name.startsWith('outbound|80'),
  );
  const [any] = Object.values(cluster!.typedExtensionProtocolOptions);
  assert.equal(anyUnpack(any!, HttpProtocolOptionsSchema)?.upstreamProtocolOptions.case, 'explicitHttpConfig');
});

test('virtual hosts and routes of sidecars and gateways', () => {
  const hosts = (...patches: string[]) => routesOf(outbound(...patches), '80').virtualHosts;
  const names = (...patches: string[]) => hosts(...patches).map(({ name }) => name);
  const all = names();
  assert.ok(all.includes('a.example.com:80'));
  const named = 'routeConfiguration: { name: "80", vhost: { name: "a.example.com:80" } }';
  const header = '{ request_headers_to_add: [{ header: { key: x, value: y } }] }';
  const withHeader = (match: string) =>
    hosts(patch('VIRTUAL_HOST', match, 'MERGE', header)).flatMap(({ name, requestHeadersToAdd }) =>
      requestHeadersToAdd.length > 0 ? name : [],
    );
  assert.deepEqual(withHeader(named), ['a.example.com:80']);
  assert.deepEqual(withHeader('routeConfiguration: { portNumber: 80, vhost: { domainName: a.example.com } }'), ['a.example.com:80']);
  assert.deepEqual(withHeader('routeConfiguration: { portNumber: 81 }'), []);
  assert.deepEqual(withHeader(''), all);
  assert.deepEqual(
    names(patch('VIRTUAL_HOST', named, 'REMOVE')),
    all.filter((name) => name !== 'a.example.com:80'),
  );
  const routes = (...patches: string[]) =>
    routesOf(router(...patches), 'http.80').virtualHosts[0]!.routes.map(({ name, match }) => name || `${match?.pathSpecifier.value}`);
  assert.deepEqual(routes(), ['first', 'gone']);
  const own = '{ name: own, match: { prefix: / }, direct_response: { status: 418 } }';
  const within = (route: string) => `context: GATEWAY, routeConfiguration: { portNumber: 80, vhost: { ${route} } }`;
  assert.deepEqual(routes(patch('HTTP_ROUTE', within(''), 'ADD', own)), ['first', 'gone', 'own']);
  assert.deepEqual(routes(patch('HTTP_ROUTE', within(''), 'INSERT_FIRST', own)), ['own', 'first', 'gone']);
  assert.deepEqual(routes(patch('HTTP_ROUTE', within('route: { name: gone }'), 'INSERT_BEFORE', own)), ['first', 'own', 'gone']);
  assert.deepEqual(routes(patch('HTTP_ROUTE', within('route: { name: first }'), 'INSERT_AFTER', own)), ['first', 'own', 'gone']);
  assert.deepEqual(routes(patch('HTTP_ROUTE', within('route: { name: none }'), 'INSERT_FIRST', own)), ['first', 'gone']);
  assert.deepEqual(routes(patch('HTTP_ROUTE', within('route: { action: REDIRECT }'), 'REMOVE')), ['first']);
  assert.deepEqual(routes(patch('HTTP_ROUTE', 'context: GATEWAY, routeConfiguration: { gateway: istio-system/other }', 'REMOVE')), [
    'first',
    'gone',
  ]);
  const merged = routesOf(router(patch('HTTP_ROUTE', within('route: { name: first }'), 'MERGE', '{ route: { timeout: 9s } }')), 'http.80')
    .virtualHosts[0]!;
  const [first] = merged.routes;
  assert.ok(first?.action.case === 'route');
  assert.equal(first.action.value.timeout?.seconds, 9n);
  assert.equal(first.action.value.clusterSpecifier.value, 'outbound|80||a.example.com');
});

test('listeners, their filters and filter chains', () => {
  const names = (...patches: string[]) => outbound(...patches).resources.listeners.map(({ name }) => name);
  const all = names();
  assert.deepEqual(
    names(patch('LISTENER', 'listener: { name: 0.0.0.0_80 }', 'REMOVE')),
    all.filter((name) => name !== '0.0.0.0_80'),
  );
  const limit = patch(
    'LISTENER',
    'context: SIDECAR_OUTBOUND, listener: { portNumber: 443 }',
    'MERGE',
    '{ per_connection_buffer_limit_bytes: 4096 }',
  );
  for (const { name, perConnectionBufferLimitBytes } of outbound(limit).resources.listeners)
    assert.equal(perConnectionBufferLimitBytes, name.endsWith('_443') ? 4096 : undefined, name);
  const proxyProtocol = `{ name: envoy.filters.listener.proxy_protocol, typed_config: { '@type': ${TYPES}.listener.proxy_protocol.v3.ProxyProtocol } }`;
  const filtered = router(patch('LISTENER_FILTER', 'context: GATEWAY', 'INSERT_FIRST', proxyProtocol));
  assert.deepEqual(
    listenerOf(filtered, '0.0.0.0_80').listenerFilters.map(({ name }) => name),
    ['envoy.filters.listener.proxy_protocol'],
  );
  const chainsOf = (...patches: string[]) => chains(listenerOf(outbound(...patches), '0.0.0.0_443'));
  const [byName, ...others] = chainsOf();
  assert.match(byName!, /^a\.example\.com /);
  assert.deepEqual(chainsOf(patch('FILTER_CHAIN', 'listener: { filterChain: { sni: a.example.com } }', 'REMOVE')), others);
  assert.deepEqual(chainsOf(patch('FILTER_CHAIN', 'listener: { filterChain: { sni: b.example.com } }', 'REMOVE')), [byName, ...others]);
});

test('which proxies: by namespace, labels and version; in which order: by priority, the root namespace first', () => {
  const timeout = (text: string, proxy = SIDECAR) =>
    translated(HOST + text, proxy).resources.clusters.find(({ name }) => name === 'outbound|80||a.example.com')?.connectTimeout?.seconds;
  const set = (seconds: number, given: Given, match = '') =>
    filter([patch('CLUSTER', match, 'MERGE', `{ connect_timeout: ${seconds}s }`)], { name: `f${seconds}`, ...given });
  assert.equal(timeout(set(3, { namespace: 'default' })), 3n);
  assert.equal(timeout(set(3, { namespace: 'other' })), 10n);
  assert.equal(timeout(set(3, { spec: 'workloadSelector: { labels: { app: sleep } }' })), 3n);
  assert.equal(timeout(set(3, { spec: 'workloadSelector: { labels: { app: other } }' })), 10n);
  assert.equal(timeout(set(3, {}, 'proxy: { proxyVersion: "^1\\\\.31.*" }')), 3n);
  assert.equal(timeout(set(3, {}, 'proxy: { proxyVersion: "^1\\\\.9.*" }')), 10n);
  assert.equal(timeout(set(3, { namespace: 'default' }) + set(4, {})), 3n);
  assert.equal(timeout(set(3, { namespace: 'default', spec: 'priority: -1' }) + set(4, {})), 4n);
  assert.equal(timeout(set(4, {}) + set(5, {})), 5n);
});

/** What can't be enforced where nobody has an identity. */
const REFUSED = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: istio-system }
spec: { selector: { matchLabels: { istio: egressgateway } }, rules: [{ from: [{ source: { principals: [a/b/c] } }] }] }
---
`;

test('what a translation refuses stays refused', () => {
  const text = HOST + GATEWAY + REFUSED;
  const refusing = listenerOf(translated(text, ROUTER, {}, { withoutIdentities: true }), '0.0.0.0_80').filterChains;
  const patches = [
    patch('FILTER_CHAIN', '', 'REMOVE'),
    patch('NETWORK_FILTER', `listener: { filterChain: { filter: { name: ${MANAGER} } } }`, 'REMOVE'),
  ];
  assert.deepEqual(
    listenerOf(translated(text + filter(patches), ROUTER, {}, { withoutIdentities: true }), '0.0.0.0_80').filterChains,
    refusing,
  );
});

test('a list that takes the place of another leaves in what refuses, before what it brings', () => {
  const replaced = patch('LISTENER', '', 'MERGE_AND_REPLACE_LIST', '{ filter_chains: [{ name: own }] }');
  const names = (text: string, withoutIdentities: boolean) =>
    listenerOf(translated(text, ROUTER, {}, { withoutIdentities }), '0.0.0.0_80').filterChains.map(({ name }) => name);
  const text = HOST + GATEWAY + REFUSED;
  const refusing = names(text, true);
  assert.equal(refusing.length, 1);
  assert.deepEqual(names(text + filter([replaced]), true), [...refusing, 'own']);
  assert.deepEqual(names(text + filter([replaced]), false), ['own']);
});

test('nothing is renamed, and of several under one name the first stays, as in Istio', () => {
  const name = 'outbound|80||a.example.com';
  const after = outbound(
    patch('CLUSTER', '', 'MERGE', `{ name: '${name}' }`),
    patch('CLUSTER', '', 'ADD', `{ name: '${name}', alt_stat_name: added }`),
    patch('LISTENER', '', 'MERGE', "{ name: '0.0.0.0_80' }"),
    patch('LISTENER', '', 'ADD', "{ name: '0.0.0.0_80', stat_prefix: added }"),
    patch('ROUTE_CONFIGURATION', '', 'MERGE', "{ name: '80' }"),
  );
  const [{ resources: now }, { resources: before }] = [after, outbound()];
  const namesOf = (list: readonly { readonly name: string }[]) => list.map((each) => each.name);
  assert.deepEqual(namesOf(now.clusters), namesOf(before.clusters));
  assert.deepEqual(namesOf(now.listeners), namesOf(before.listeners));
  assert.deepEqual(namesOf(now.routes), namesOf(before.routes));
  assert.equal(now.clusters.find((each) => each.name === name)?.altStatName, '');
  assert.equal(listenerOf(after, '0.0.0.0_80').statPrefix, '');
});

test('what nothing changed is the same object in the next translation, whatever other proxies are translated between', () => {
  const merge = (name: string, more: Given) =>
    filter([patch('CLUSTER', 'cluster: { portNumber: 80 }', 'MERGE', '{ connect_timeout: 3s }')], { name, ...more });
  const added = filter([patch('CLUSTER', '', 'ADD', '{ name: own }')], { name: 'of-all' });
  const ofSome = (app: string) => merge(`of-${app}`, { spec: `workloadSelector: { labels: { app: ${app} } }` });
  const mesh = meshOf(HOST + added + ofSome('sleep') + ofSome('other'));
  const other = { ...SIDECAR, name: 'other', labels: { app: 'other' } };
  const one = translate(SIDECAR, mesh).resources;
  translate(other, mesh);
  const two = translate(SIDECAR, mesh).resources;
  assert.equal(one.clusters, two.clusters);
  assert.equal(one.listeners, two.listeners);
});
