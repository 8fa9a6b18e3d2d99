/** For tests of translation: resources as text → the xDS of one proxy. */
import assert from 'node:assert/strict';
import { fromBinary } from '@bufbuild/protobuf';
import { decode } from '../../src/api/decode.ts';
import { type MeshConfig, meshConfig } from '../../src/api/mesh-config.ts';
import { snapshotFromText } from '../../src/config/memory.ts';
import type { ProxyIdentity } from '../../src/lib/proxy-identity.ts';
import { buildRegistry } from '../../src/registry/index.ts';
import { translate } from '../../src/translate/index.ts';
import type { Mesh, Translation } from '../../src/translate/model.ts';
import type { FilterChain } from '../../src/xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import type { Listener } from '../../src/xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { RouteConfiguration } from '../../src/xds/gen/envoy/config/route/v3/route_pb.js';
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from '../../src/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { TcpProxySchema } from '../../src/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';

export const SIDECAR: ProxyIdentity = {
  type: 'sidecar',
  name: 'sleep',
  namespace: 'default',
  labels: { app: 'sleep', version: 'v1' },
  serviceAccount: 'sleep',
  addresses: ['10.244.1.10'],
  locality: '',
};

export const ROUTER: ProxyIdentity = {
  type: 'router',
  name: 'egress',
  namespace: 'istio-system',
  labels: { istio: 'egressgateway' },
  serviceAccount: 'egress',
  addresses: ['10.244.3.10'],
  locality: '',
};

/** Settings as in a MeshConfig's YAML. REGISTRY_ONLY unless they say otherwise. */
export function translated(
  text: string,
  proxy: ProxyIdentity = SIDECAR,
  settings: Record<string, unknown> = {},
  more: Pick<Mesh, 'withoutIdentities'> = {},
): Translation {
  return translate(proxy, meshOf(text, settings, more));
}

/** As `translated`, for several translations of one mesh. */
export function meshOf(text: string, settings: Record<string, unknown> = {}, more: Pick<Mesh, 'withoutIdentities'> = {}): Mesh {
  const snapshot = snapshotFromText(text);
  assert.deepEqual(
    snapshot.findings.filter(({ level }) => level === 'Error'),
    [],
    'the input is valid',
  );
  const merged = { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' }, ...settings };
  const config = decode(meshConfig, merged, [], (issue) => assert.fail(issue.message)) as MeshConfig;
  const { registry } = buildRegistry(snapshot, config);
  return { snapshot, registry, config, ...more };
}

export function listenerOf({ resources }: Translation, name: string): Listener {
  const found = resources.listeners.find((listener) => listener.name === name);
  assert.ok(found, `there is a listener ${name} among ${resources.listeners.map((listener) => listener.name).join(', ')}`);
  return found;
}

export function routesOf({ resources }: Translation, name: string): RouteConfiguration {
  const found = resources.routes.find((route) => route.name === name);
  assert.ok(found, `there are routes ${name} among ${resources.routes.map((route) => route.name).join(', ')}`);
  return found;
}

/** The connection manager of a chain that speaks HTTP. */
export function httpOf(chain: FilterChain): HttpConnectionManager {
  const filter = chain.filters.at(-1)!;
  assert.equal(filter.name, 'envoy.filters.network.http_connection_manager');
  assert.ok(filter.configType.case === 'typedConfig');
  return fromBinary(HttpConnectionManagerSchema, filter.configType.value.value);
}

/** What a chain does, in a line: `http ROUTES`, or `tcp CLUSTER`. */
export function target(chain: FilterChain | undefined): string {
  assert.ok(chain, 'there is a chain');
  const filter = chain.filters.at(-1)!;
  assert.ok(filter.configType.case === 'typedConfig');
  if (filter.name === 'envoy.filters.network.tcp_proxy') {
    const { clusterSpecifier } = fromBinary(TcpProxySchema, filter.configType.value.value);
    if (clusterSpecifier.case === 'cluster') return `tcp ${clusterSpecifier.value}`;
    assert.ok(clusterSpecifier.case === 'weightedClusters');
    return `tcp ${clusterSpecifier.value.clusters.map(({ name, weight }) => `${name}=${weight}`).join(' ')}`;
  }
  const { routeSpecifier } = httpOf(chain);
  if (routeSpecifier.case === 'rds') return `http ${routeSpecifier.value.routeConfigName}`;
  assert.ok(routeSpecifier.case === 'routeConfig');
  return `http inline ${routeSpecifier.value.name}`;
}

/** The chains of a listener as `match → target`, the default one as `else`. */
export function chains(listener: Listener): string[] {
  const lines = listener.filterChains.map((chain) => {
    const match = chain.filterChainMatch;
    const parts = [
      match?.destinationPort && `port ${match.destinationPort}`,
      ...(match?.prefixRanges ?? []).map(({ addressPrefix, prefixLen }) => `${addressPrefix}/${prefixLen}`),
      ...(match?.serverNames ?? []),
      match?.transportProtocol,
      ...(match?.applicationProtocols ?? []),
    ].filter(Boolean);
    return `${parts.join(' ') || 'any'} → ${target(chain)}`;
  });
  if (listener.defaultFilterChain) lines.push(`else → ${target(listener.defaultFilterChain)}`);
  return lines;
}

/** The virtual hosts of routes as `name: domains`. */
export function hosts(routes: RouteConfiguration): string[] {
  return routes.virtualHosts.map(({ name, domains }) => `${name}: ${domains.join(' ')}`);
}

/** A ServiceEntry with one host, as text; ports as `number protocol`. */
export function entry(host: string, ports: readonly string[], more = ''): string {
  const list = ports.map((port) => {
    const [number, protocol] = port.split(' ');
    return `{ number: ${number}, name: p${number}, protocol: ${protocol} }`;
  });
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${host.replaceAll(/[^a-z0-9]/g, '-').replace(/^-+/, 'w')}, namespace: default }
spec:
  hosts: ['${host}']
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [${list.join(', ')}]
${more}
---
`;
}
