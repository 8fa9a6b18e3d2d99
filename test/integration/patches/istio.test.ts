/** Generated patches of EnvoyFilters, applied by ours and by Istio's own code to what translation makes: the same comes out. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { type DescMessage, fromBinary, type JsonValue, type MessageShape, toBinary, toJson } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { stringify } from 'yaml';
import type { ProxyIdentity } from '../../../src/lib/proxy-identity.ts';
import { type Cluster, ClusterSchema } from '../../../src/xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { TrafficDirection } from '../../../src/xds/gen/envoy/config/core/v3/base_pb.js';
import { type Listener, ListenerSchema } from '../../../src/xds/gen/envoy/config/listener/v3/listener_pb.js';
import { type RouteConfiguration, RouteConfigurationSchema } from '../../../src/xds/gen/envoy/config/route/v3/route_pb.js';
import { SALLYPORT_METADATA } from '../../../src/xds/names.ts';
import { typeRegistry } from '../../../src/xds/type-registry.ts';
import { entry, ROUTER, SIDECAR, translated } from '../../support/translated.ts';
import { needs } from '../tools.ts';
import { builtIstioPatches } from './istio-patches.ts';

const MESH = `${entry('a.example.com', ['80 HTTP', '443 TLS', '6379 TCP'])}${entry('b.example.com', ['80 HTTP', '443 HTTPS'])}
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: istio-system }
spec:
  selector: { istio: egressgateway }
  servers:
  - { port: { number: 80, name: http, protocol: HTTP }, hosts: [a.example.com, b.example.com] }
  - { port: { number: 443, name: tls, protocol: TLS }, tls: { mode: PASSTHROUGH }, hosts: [a.example.com] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: v, namespace: istio-system }
spec:
  hosts: [a.example.com]
  gateways: [g]
  http:
  - { name: first, match: [{ uri: { prefix: /first } }], route: [{ destination: { host: a.example.com } }], timeout: 3s }
  - { name: gone, match: [{ uri: { prefix: /gone } }], redirect: { uri: / } }
  tls: [{ match: [{ port: 443, sniHosts: [a.example.com] }], route: [{ destination: { host: a.example.com, port: { number: 443 } } }] }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: d, namespace: default }
spec: { host: b.example.com, trafficPolicy: { tls: { mode: SIMPLE, sni: b.example.com } } }
---
apiVersion: v1
kind: Service
metadata: { name: sleep, namespace: default }
spec: { clusterIP: 10.96.0.9, selector: { app: sleep }, ports: [{ name: http, port: 80, targetPort: 8080 }, { name: tcp, port: 99 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: sleep, namespace: default, labels: { app: sleep, version: v1 } }
spec: { containers: [{ name: c, image: x }] }
status: { podIP: 10.244.1.10, phase: Running }
---
`;

type Json = { readonly [key: string]: JsonValue };

const EXTENSIONS = 'type.googleapis.com/envoy.extensions';
const typed = (type: string, fields: Json = {}): Json => ({ '@type': `${EXTENSIONS}.${type}`, ...fields });
const MANAGER = 'envoy.filters.network.http_connection_manager';
const TCP_PROXY = 'envoy.filters.network.tcp_proxy';
const manager = (fields: Json) => typed('filters.network.http_connection_manager.v3.HttpConnectionManager', fields);
const tcpProxy = (fields: Json) => typed('filters.network.tcp_proxy.v3.TcpProxy', fields);
const OWN_ROUTE = { name: 'own', match: { path: '/own' }, direct_response: { status: 418 } };
const HEADER = { request_headers_to_add: [{ header: { key: 'a', value: 'b' } }] };

const one = <T>(...values: readonly T[]) => fc.constantFrom(...values);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 1 });

const context = maybe(one('ANY', 'SIDECAR_INBOUND', 'SIDECAR_OUTBOUND', 'GATEWAY'));
const listener = (filterChain: fc.Arbitrary<unknown>) =>
  fc.record({
    name: maybe(one('0.0.0.0_80', '0.0.0.0_443', 'virtualInbound', 'virtualOutbound')),
    portNumber: maybe(one(80, 443, 8080, 15006)),
    filterChain,
  });
const chain = (filter: fc.Arbitrary<unknown>) =>
  fc.record({
    sni: maybe(one('a.example.com', 'b.example.com')),
    transportProtocol: maybe(one('tls', 'raw_buffer')),
    applicationProtocols: maybe(one('http/1.1', 'http/1.1,h2c', 'istio')),
    destinationPort: maybe(one(80, 8080)),
    filter,
  });
const NOTHING = fc.constant(undefined);
const routes = (vhost: fc.Arbitrary<unknown>) =>
  fc.record({
    name: maybe(one('80', 'http.80', 'inbound|8080||')),
    portNumber: maybe(one(80, 443, 8080)),
    portName: maybe(one('http')),
    gateway: maybe(one('istio-system/g')),
    vhost,
  });
const host = (route: fc.Arbitrary<unknown>) =>
  fc.record({ name: maybe(one('a.example.com:80', 'b.example.com:80', 'block_all')), domainName: maybe(one('a.example.com')), route });
const route = fc.record({ name: maybe(one('first', 'gone', 'default', 'none')), action: maybe(one('ANY', 'ROUTE', 'REDIRECT')) });

const patch = (
  applyTo: string,
  operations: readonly string[],
  match: fc.Arbitrary<unknown>,
  field: string | undefined,
  ...values: readonly Json[]
) =>
  fc.record({
    applyTo: fc.constant(applyTo),
    match: fc.tuple(context, match).map(([side, matched]) => ({ context: side, ...(field === undefined ? {} : { [field]: matched }) })),
    patch: fc
      .tuple(one(...operations), one(...values))
      .map(([operation, value]) => (operation === 'REMOVE' ? { operation } : { operation, value })),
  });

const MERGES = ['MERGE', 'MERGE_AND_REPLACE_LIST'] as const;
const PLACES = ['ADD', 'REMOVE', 'INSERT_FIRST', 'INSERT_BEFORE', 'INSERT_AFTER', 'REPLACE'] as const;
const ANYTHING = [...MERGES, ...PLACES];

/** Filters are merged with their like: of two types Istio makes nothing, and leaves out the other patches too. */
const PATCH = fc.oneof(
  patch(
    'LISTENER',
    ANYTHING,
    listener(NOTHING),
    'listener',
    { per_connection_buffer_limit_bytes: 4096 },
    { continue_on_listener_filters_timeout: false, listener_filters_timeout: '7s', access_log: [{ name: 'own' }] },
  ),
  patch(
    'LISTENER_FILTER',
    PLACES,
    fc
      .tuple(listener(NOTHING), maybe(one('envoy.filters.listener.tls_inspector', 'none')))
      .map(([all, listenerFilter]) => ({ ...all, listenerFilter })),
    'listener',
    { name: 'envoy.filters.listener.proxy_protocol', typed_config: typed('filters.listener.proxy_protocol.v3.ProxyProtocol') },
  ),
  patch(
    'FILTER_CHAIN',
    ANYTHING,
    listener(maybe(chain(NOTHING))),
    'listener',
    { name: 'own' },
    { transport_socket_connect_timeout: '3s', filter_chain_match: { server_names: ['own.example'] } },
    { filters: [{ name: 'own', typed_config: tcpProxy({ stat_prefix: 'own', cluster: 'own' }) }] },
  ),
  patch(
    'NETWORK_FILTER',
    PLACES,
    listener(maybe(chain(maybe(one({ name: MANAGER }, { name: TCP_PROXY }, { name: 'none' }))))),
    'listener',
    { name: 'own.rbac', typed_config: typed('filters.network.rbac.v3.RBAC', { stat_prefix: 'own' }) },
  ),
  patch(
    'NETWORK_FILTER',
    MERGES,
    listener(chain(fc.constant({ name: MANAGER }))),
    'listener',
    { typed_config: manager({ stream_idle_timeout: '5s', normalize_path: false, upgrade_configs: [{ upgrade_type: 'CONNECT' }] }) },
    { typed_config: manager({ common_http_protocol_options: { idle_timeout: '9s' }, http_filters: [{ name: 'own' }] }) },
  ),
  patch('NETWORK_FILTER', MERGES, listener(chain(fc.constant({ name: TCP_PROXY }))), 'listener', {
    name: 'renamed',
    typed_config: tcpProxy({ idle_timeout: '2s' }),
  }),
  patch(
    'HTTP_FILTER',
    PLACES,
    listener(
      maybe(
        chain(
          maybe(
            fc.record({
              name: fc.constant(MANAGER),
              subFilter: maybe(one({ name: 'envoy.filters.http.router' }, { name: 'envoy.filters.http.cors' }, { name: 'none' })),
            }),
          ),
        ),
      ),
    ),
    'listener',
    { name: 'own.fault', typed_config: typed('filters.http.fault.v3.HTTPFault', { abort: { http_status: 555 } }) },
  ),
  patch(
    'HTTP_FILTER',
    MERGES,
    listener(chain(fc.constant({ name: MANAGER, subFilter: { name: 'envoy.filters.http.router' } }))),
    'listener',
    { typed_config: typed('filters.http.router.v3.Router', { suppress_envoy_headers: true }) },
  ),
  patch(
    'ROUTE_CONFIGURATION',
    ANYTHING,
    routes(NOTHING),
    'routeConfiguration',
    { request_headers_to_remove: ['x'], max_direct_response_body_size_bytes: 77 },
    { virtual_hosts: [{ name: 'own', domains: ['own.example'] }] },
  ),
  patch(
    'VIRTUAL_HOST',
    ANYTHING,
    routes(maybe(host(NOTHING))),
    'routeConfiguration',
    { name: 'own', domains: ['own.example'], routes: [OWN_ROUTE] },
    { ...HEADER, retry_policy: { num_retries: 9 } },
  ),
  patch(
    'HTTP_ROUTE',
    ANYTHING,
    routes(maybe(host(maybe(route)))),
    'routeConfiguration',
    OWN_ROUTE,
    { route: { timeout: '9s', retry_policy: { num_retries: 7 } } },
    { ...HEADER, route: { cluster: 'elsewhere' }, match: { prefix: '/own' } },
    { redirect: { path_redirect: '/own' } },
  ),
  // That clusters keep their names, where they are merged, is ours.
  patch('CLUSTER', PLACES, fc.constant(undefined), 'cluster', { name: 'own', type: 'STRICT_DNS', connect_timeout: '1s' }),
  patch(
    'CLUSTER',
    [...MERGES, 'REMOVE'],
    maybe(
      fc.record({
        service: maybe(one('a.example.com')),
        portNumber: maybe(one(80, 443)),
        subset: maybe(one('v1')),
        name: maybe(one('outbound|80||b.example.com')),
      }),
    ),
    'cluster',
    { connect_timeout: '3s', circuit_breakers: { thresholds: [{ max_connections: 5 }] }, lb_policy: 'RANDOM', name: '' },
    {
      transport_socket: {
        name: 'envoy.transport_sockets.tls',
        typed_config: typed('transport_sockets.tls.v3.UpstreamTlsContext', { sni: 'own.example' }),
      },
    },
    {
      typed_extension_protocol_options: {
        'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed('upstreams.http.v3.HttpProtocolOptions', {
          explicit_http_config: { http_protocol_options: {} },
        }),
      },
    },
  ),
);

const CASES = 250;
const SEED = 20_261_201;

interface Resources {
  readonly listeners: readonly Listener[];
  readonly routes: readonly RouteConfiguration[];
  readonly clusters: readonly Cluster[];
}

const SIDES: readonly (readonly [side: string, proxy: ProxyIdentity])[] = [
  ['GATEWAY', ROUTER],
  ['SIDECAR_OUTBOUND', SIDECAR],
  ['SIDECAR_INBOUND', SIDECAR],
];

/** Of one side; what a patch adds has no side of its own, and is left out at sidecars. */
function ofSide({ listeners, routes: all, clusters }: Resources, side: string): Resources {
  if (side === 'GATEWAY') return { listeners, routes: all, clusters };
  const inbound = side === 'SIDECAR_INBOUND';
  return {
    listeners: listeners.filter(({ name, trafficDirection }) => name !== '' && (trafficDirection === TrafficDirection.INBOUND) === inbound),
    routes: inbound ? [] : all,
    clusters: clusters
      .filter(({ name }) => name.includes('|') || name.endsWith('Cluster'))
      .filter(({ name }) => /^(inbound\||Inbound)/.test(name) === inbound),
  };
}

const bytes = <Desc extends DescMessage>(schema: Desc, list: readonly MessageShape<Desc>[]) =>
  list.map((message) => Buffer.from(toBinary(schema, message)).toString('base64'));

interface Answer {
  readonly Listeners: readonly string[] | null;
  readonly Routes: readonly string[] | null;
  readonly Clusters: readonly string[] | null;
}

function readAnswer({ Listeners, Routes, Clusters }: Answer): Resources {
  const decoded = <Desc extends DescMessage>(schema: Desc, list: readonly string[] | null) =>
    (list ?? []).map((text) => fromBinary(schema, Buffer.from(text, 'base64')));
  return {
    listeners: decoded(ListenerSchema, Listeners),
    routes: decoded(RouteConfigurationSchema, Routes),
    clusters: decoded(ClusterSchema, Clusters),
  };
}

/** Without our own metadata, which names the EnvoyFilters. */
function plain(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).flatMap(([key, each]): [string, JsonValue][] => {
    if (key === SALLYPORT_METADATA) return [];
    const inner = plain(each);
    const isEmpty = (key === 'metadata' || key === 'filterMetadata') && JSON.stringify(inner) === '{}';
    return isEmpty ? [] : [[key, inner]];
  });
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function text({ listeners, routes: all, clusters }: Resources): string[] {
  const json = <Desc extends DescMessage>(schema: Desc, list: readonly MessageShape<Desc>[]) =>
    list.map((message) => JSON.stringify(plain(toJson(schema, message, { registry: typeRegistry }))));
  // Of several under one name the first counts here; Istio leaves them to Envoy, which refuses.
  return [
    ...new Set([...json(ListenerSchema, listeners), ...json(RouteConfigurationSchema, all), ...json(ClusterSchema, clusters)]),
  ].sort();
}

test('patches do what they do in Istio', { skip: needs('go'), timeout: 280_000 }, () => {
  const program = builtIstioPatches();
  const specs = fc.sample(fc.array(PATCH, { minLength: 1, maxLength: 3 }), { numRuns: CASES, seed: SEED });
  const before = new Map(SIDES.map(([side, proxy]) => [side, ofSide(translated(MESH, proxy).resources, side)]));
  const asked = specs.flatMap((configPatches) => SIDES.map(([side, proxy]) => ({ Spec: { configPatches }, Side: side, proxy })));
  const lines = asked.map(({ Spec, Side }) => {
    const { listeners, routes: all, clusters } = before.get(Side)!;
    return JSON.stringify({
      Spec,
      Side,
      Listeners: bytes(ListenerSchema, listeners),
      Routes: bytes(RouteConfigurationSchema, all),
      Clusters: bytes(ClusterSchema, clusters),
    });
  });
  const output = execFileSync(program, {
    input: `${lines.join('\n')}\n`,
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const answers = output.trimEnd().split('\n');
  assert.equal(
    answers.length,
    asked.length,
    answers.find((line) => !line.startsWith('{')),
  );
  let changed = 0;
  for (const [i, { Spec, Side, proxy }] of asked.entries()) {
    const filter = {
      apiVersion: 'networking.istio.io/v1alpha3',
      kind: 'EnvoyFilter',
      metadata: { name: 'f', namespace: 'istio-system' },
      spec: Spec,
    };
    const ours = text(ofSide(translated(`${MESH}${stringify(JSON.parse(JSON.stringify(filter)))}\n`, proxy).resources, Side));
    const istios = text(ofSide(readAnswer(JSON.parse(answers[i]!)), Side));
    assert.deepEqual(ours, istios, `${Side}: ${JSON.stringify(Spec)}`);
    if (JSON.stringify(ours) !== JSON.stringify(text(before.get(Side)!))) changed++;
  }
  assert.ok(changed > asked.length / 4, `${changed} of ${asked.length} changed something`);
});
