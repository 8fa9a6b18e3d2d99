/** EnvoyFilters with which calls go out another way: a proof must see it, or stay undecided. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { gatewaysOf } from './inside.ts';
import { simulateFiles } from './simulated.ts';
import { statementOf } from './statements.ts';
import { podText } from './testing.ts';
import { verifyFiles } from './verify.ts';

const document = (kind: string, name: string, spec: string, namespace = 'default') =>
  `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n---\n`;

const HTTP = '{number: 80, name: http, protocol: HTTP}';
const entry = (name: string, port = HTTP) =>
  document('ServiceEntry', name, `{hosts: [${name}.example.com], location: MESH_EXTERNAL, ports: [${port}], resolution: DNS}`);
/** Of the two hosts that are declared, calls to the secret one are refused. */
const FILES = [
  `${podText('app', '10.0.0.1')}\n`,
  entry('www'),
  entry('secret'),
  document('VirtualService', 'none', '{hosts: [secret.example.com], http: [{directResponse: {status: 403}}]}'),
].join('');
const WWW = 'outbound|80||www.example.com';
const SECRET = 'outbound|80||secret.example.com';

function judged(...patches: string[]): string {
  const filter = document('EnvoyFilter', 'patches', `{configPatches: [${patches.join(', ')}]}`).replace('/v1\n', '/v1alpha3\n');
  const files = simulateFiles(snapshotFromText(FILES + filter), meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
  const statement = statementOf(
    { onlyWorkloads: { host: 'secret.example.com', workloads: ['default/nobody'] } },
    'test',
    gatewaysOf(files),
  );
  return verifyFiles(files, [statement], 100_000)[0]!.result;
}

const patch = (applyTo: string, operation: string, value: string, match = '') =>
  `{applyTo: ${applyTo}, match: {${match}}, patch: {operation: ${operation}, value: ${value}}}`;
const route = (value: string) => patch('HTTP_ROUTE', 'INSERT_FIRST', value);

test('a patch that does nothing of the kind is no obstacle', () =>
  assert.equal(judged(patch('CLUSTER', 'MERGE', '{connect_timeout: 1s}')), 'proved'));

for (const [name, ...patches] of [
  ['a route', route(`{match: {prefix: /}, route: {cluster: '${SECRET}'}}`)],
  [
    'a route for a header',
    route(`{match: {prefix: /, headers: [{name: x-key, string_match: {exact: magic}}]}, route: {cluster: '${SECRET}'}}`),
  ],
  [
    'a route for a header by regex',
    route(
      `{match: {prefix: /, headers: [{name: x-key, string_match: {safe_regex: {regex: 'ma[g]ic[0-9]'}}}]}, route: {cluster: '${SECRET}'}}`,
    ),
  ],
  [
    'a route for a query',
    route(`{match: {prefix: /, query_parameters: [{name: k, string_match: {exact: magic}}]}, route: {cluster: '${SECRET}'}}`),
  ],
  ['a route for grpc', route(`{match: {prefix: /, grpc: {}}, route: {cluster: '${SECRET}'}}`)],
  ['a route by chance', route(`{match: {prefix: /, runtime_fraction: {default_value: {numerator: 1}}}, route: {cluster: '${SECRET}'}}`)],
  ['a route by tls', route(`{match: {prefix: /, tls_context: {presented: false}}, route: {cluster: '${SECRET}'}}`)],
  ['a route of CONNECT', route(`{match: {connect_matcher: {}}, route: {cluster: '${SECRET}'}}`)],
  [
    'a weighted cluster',
    route(`{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: '${WWW}', weight: 99}, {name: '${SECRET}', weight: 1}]}}}`),
  ],
  ['a mirror', route(`{match: {prefix: /}, route: {cluster: '${WWW}', request_mirror_policies: [{cluster: '${SECRET}'}]}}`)],
  ['a mirror by header', route(`{match: {prefix: /}, route: {cluster: '${WWW}', request_mirror_policies: [{cluster_header: x-to}]}}`)],
  [
    'a virtual host',
    patch('VIRTUAL_HOST', 'ADD', `{name: own, domains: [own.example.org], routes: [{match: {prefix: /}, route: {cluster: '${SECRET}'}}]}`),
  ],
  [
    'a virtual host in the configuration',
    patch(
      'ROUTE_CONFIGURATION',
      'MERGE',
      `{virtual_hosts: [{name: own, domains: [own.example.org], routes: [{match: {prefix: /}, route: {cluster: '${SECRET}'}}]}]}`,
    ),
  ],
  [
    'a replaced virtual host',
    patch(
      'VIRTUAL_HOST',
      'REPLACE',
      `{name: own, domains: [own.example.org], routes: [{match: {prefix: /}, route: {cluster: '${SECRET}'}}]}`,
      'routeConfiguration: {vhost: {name: "secret.example.com:80"}}',
    ),
  ],
  [
    'a removed route',
    patch('HTTP_ROUTE', 'REMOVE', '{}'),
    patch('HTTP_ROUTE', 'INSERT_AFTER', `{match: {prefix: /}, route: {cluster: '${SECRET}'}}`),
  ],
  [
    'a renamed cluster',
    patch('CLUSTER', 'REMOVE', '{}', `cluster: {name: '${WWW}'}`),
    patch('CLUSTER', 'MERGE', `{name: '${WWW}'}`, `cluster: {name: '${SECRET}'}`),
  ],
  ['an added cluster', patch('CLUSTER', 'ADD', `{name: '${WWW}', type: STRICT_DNS}`)],
  [
    'an SNI by header',
    patch(
      'CLUSTER',
      'MERGE',
      `{typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {'@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, upstream_http_protocol_options: {auto_sni: true, override_auto_sni_header: x-to}}}}`,
    ),
  ],
  ['a passthrough', route(`{match: {prefix: /}, route: {cluster: PassthroughCluster}}`)],
  [
    'chains without inspectors',
    patch('LISTENER_FILTER', 'REMOVE', '{}', 'listener: {listenerFilter: envoy.filters.listener.tls_inspector}'),
    patch('LISTENER_FILTER', 'REMOVE', '{}', 'listener: {listenerFilter: envoy.filters.listener.http_inspector}'),
  ],
  [
    'the PROXY protocol',
    patch(
      'LISTENER',
      'MERGE',
      `{listener_filters: [{name: envoy.filters.listener.proxy_protocol, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol}}]}`,
    ),
  ],
  ['renamed listeners', patch('LISTENER', 'MERGE', '{name: virtualOutbound}', "listener: {name: '0.0.0.0_80'}")],
  ['renamed routes', patch('ROUTE_CONFIGURATION', 'MERGE', "{name: '80'}", '')],
] as const)
  test(name, () => assert.notEqual(judged(...patches), 'proved'));
