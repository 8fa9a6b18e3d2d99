/** Proxies and calls by hand, for tests of simulation: xDS as its JSON, with the least that Envoy asks for. */
import { fromJson, type JsonObject, type JsonValue } from '@bufbuild/protobuf';
import { ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { ListenerSchema } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { lookupIn } from '../xds/resources.ts';
import { typeRegistry } from '../xds/type-registry.ts';
import { type Call, parseTarget, type TargetOptions } from './call.ts';
import { type SimulatedProxy, simulatedProxy } from './proxy.ts';
import type { OriginatedTls, Verification } from './security.ts';

const FILTERS = 'type.googleapis.com/envoy.extensions.filters';

/** A network filter that passes bytes on: to one cluster, or by weights. */
export function tcp(to: string | Readonly<Record<string, number>>): JsonObject {
  const weighted = () => Object.entries(to).map(([name, weight]) => ({ name, weight }));
  const specifier: JsonObject = typeof to === 'string' ? { cluster: to } : { weighted_clusters: { clusters: weighted() } };
  return {
    name: 'tcp',
    typed_config: { '@type': `${FILTERS}.network.tcp_proxy.v3.TcpProxy`, stat_prefix: 'x', ...specifier },
  };
}

/** A connection manager with these virtual hosts; `route configuration` is the name of its routes. */
export function http(...virtualHosts: readonly JsonObject[]): JsonObject {
  return {
    name: 'http',
    typed_config: {
      '@type': `${FILTERS}.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'x',
      route_config: { name: 'routes', virtual_hosts: [...virtualHosts] },
      http_filters: [{ name: 'router', typed_config: { '@type': `${FILTERS}.http.router.v3.Router` } }],
    },
  };
}

/** A virtual host that is called like its domain. */
export function host(domain: string, ...routes: readonly JsonObject[]): JsonObject {
  return { name: domain, domains: [domain], routes: [...routes] };
}

/** A route to a cluster, which is called like it unless `more` says otherwise. */
export function route(cluster: string, match: JsonObject = { prefix: '/' }, more: JsonObject = {}): JsonObject {
  return { name: cluster, match, route: { cluster }, ...more };
}

/** A route that answers by itself. */
export function answer(status: number, match: JsonObject = { prefix: '/' }): JsonObject {
  return { name: String(status), match, direct_response: { status } };
}

/** A filter chain with one filter. `match` has the fields of a filter chain match. */
export function chain(filter: JsonObject, match?: JsonObject, more: JsonObject = {}): JsonObject {
  return { filters: [filter], ...(match && { filter_chain_match: match }), ...more };
}

/** What makes a chain end TLS. */
export const TLS: JsonObject = {
  transport_socket: {
    name: 'tls',
    typed_config: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext' },
  },
};

/** TLS that a proxy originates, as traces have it. */
export function originated(verifies: Verification, more: Partial<OriginatedTls> = {}): OriginatedTls {
  const authorities = verifies === 'nothing' ? '' : 'CA a';
  return { serverName: 'a', verifies, authorities, names: verifies === 'name' ? [['a']] : [], revocations: '', identity: '', ...more };
}

const INSPECTORS = ['tls', 'http'].map((name) => ({ name: `envoy.filters.listener.${name}_inspector` }));

/** A listener at `port`, of every address unless one is named. */
export function listener(port: number, chains: readonly JsonObject[], { ip = '0.0.0.0' } = {}): JsonObject {
  return { name: `${ip}_${port}`, ...address(ip, port), filter_chains: [...chains], listener_filters: INSPECTORS };
}

/** Takes all that leaves a sidecar, and hands it to the listener of its original destination. */
export function outbound(...chains: readonly JsonObject[]): JsonObject {
  return { ...listener(15001, chains), name: 'virtualOutbound', use_original_dst: true };
}

/** Takes all that comes in to a sidecar. */
export function inbound(...chains: readonly JsonObject[]): JsonObject {
  return { ...listener(15006, chains), name: 'virtualInbound' };
}

function address(ip: string, port: number): JsonObject {
  return { address: { socket_address: { address: ip, port_value: port } } };
}

/** A cluster of these endpoints, `address:port` each. */
export function cluster(name: string, ...endpoints: readonly string[]): JsonObject {
  const lbEndpoints = endpoints.map((each): JsonObject => {
    const [ip, port] = each.split(':') as [string, string];
    return { endpoint: address(ip, Number(port)) };
  });
  return { name, load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: lbEndpoints }] } };
}

/** A cluster of a name that is looked up, `name:port`. */
export function dns(name: string, to: string): JsonObject {
  return { ...cluster(name, to), type: 'STRICT_DNS' };
}

/** A cluster of whatever address was called. */
export function originalDestination(name: string): JsonObject {
  return { name, type: 'ORIGINAL_DST', lb_policy: 'CLUSTER_PROVIDED' };
}

interface Described {
  readonly listeners: readonly JsonObject[];
  readonly clusters?: readonly JsonObject[];
}

export function sidecar(name: string, ip: string, described: Described): SimulatedProxy {
  return proxy({ name, type: 'sidecar', addresses: [ip] }, described);
}

export function router(name: string, ip: string, described: Described): SimulatedProxy {
  return proxy({ name, type: 'router', addresses: [ip] }, described);
}

function proxy(identity: Parameters<typeof simulatedProxy>[0], { listeners, clusters = [] }: Described): SimulatedProxy {
  const decoded = <T>(list: readonly JsonObject[], decode: (json: JsonValue) => T) => list.map((json) => decode(json));
  const options = { registry: typeRegistry };
  const resources = {
    listeners: decoded(listeners, (json) => fromJson(ListenerSchema, json, options)),
    clusters: decoded(clusters, (json) => fromJson(ClusterSchema, json, options)),
    routes: [],
    endpoints: [],
    secrets: [],
  };
  return simulatedProxy(identity, lookupIn(resources));
}

export const SOURCE = { ip: '10.0.0.1', port: 0 };

/** The call of a URL, made to an address. */
export function callTo(url: string, ip: string, options?: TargetOptions): Call {
  const { port, payload } = parseTarget(url, options);
  return { source: SOURCE, destination: { ip, port }, payload };
}

/** A call in one line: `1.2.3.4:80`, with `sni NAME` and `METHOD authority/path` where there are. */
export function lineOf({ destination, payload: { tls, http: request } }: Call): string {
  const parts = [
    `${destination.ip}:${destination.port}`,
    tls && `sni ${tls.serverName || 'none'}${tls.alpn.length > 0 ? ` ${tls.alpn.join()}` : ''}`,
    request && `${request.method} ${request.authority}${request.path}`,
    request && [...request.headers].map(([name, value]) => `${name}=${value}`).join(' '),
  ];
  return parts.filter(Boolean).join(' ');
}
