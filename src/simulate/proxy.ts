/** One proxy's xDS, compiled for simulation: lazily, since a call reads few of its objects. Pure. */
import type { DescMessage, Message, MessageShape } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { compileRoutesOnDemand, type RouteTable } from '../http/routes/route.ts';
import type { Cluster } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import type { ClusterLoadAssignment } from '../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import type { Listener } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { RouteConfiguration } from '../xds/gen/envoy/config/route/v3/route_pb.js';
import type { HttpConnectionManager } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { Secret } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { compileFilterChains, type FilterChainTable } from '../xds/match/filter-chain.ts';
import { compileListeners, type ListenerTable } from '../xds/match/listener.ts';
import type { XdsLookup } from '../xds/resources.ts';
import { unpack } from '../xds/unpack.ts';
import { compileManager, type Manager } from './manager.ts';

export interface SimulatedProxy {
  /** `default/sleep`, as traces print it. */
  readonly name: string;
  readonly type: 'sidecar' | 'router';
  /** The SPIFFE ID that the mesh's CA gives to its workload; undefined where that is not known. */
  readonly identity: string | undefined;
  /** Addresses at which it takes connections for its workload. */
  readonly addresses: readonly string[];
  readonly listeners: ListenerTable<Listener>;
  /** Every listener. */
  readonly all: readonly Listener[];
  listenerNamed(name: string): Listener | undefined;
  chains(listener: Listener): FilterChainTable;
  /** A route configuration by RDS name. */
  routes(name: string): RouteTable | undefined;
  /** The same as it is configured. */
  routeConfig(name: string): RouteConfiguration | undefined;
  compileRoutes(config: RouteConfiguration): RouteTable;
  /** A connection manager, compiled once. */
  manager(config: HttpConnectionManager): Manager | Error;
  cluster(name: string): Cluster | undefined;
  endpoints(cluster: Cluster): ClusterLoadAssignment | undefined;
  /** Why endpoints that come apart from their clusters (EDS) are not known; undefined where they are. */
  readonly endpointsUnknown?: string | undefined;
  /** Why it is not known which identity of the mesh it shows; undefined where it is, or where the mesh has none. */
  readonly identityUnknown?: string | undefined;
  secret(name: string): Secret | undefined;
  /** As `unpack` of xds, but each extension is decoded once. */
  unpack<Desc extends DescMessage>(any: Any | undefined, schema: Desc, where: string): MessageShape<Desc>;
}

export interface ProxyIdentity {
  readonly name: string;
  readonly type: 'sidecar' | 'router';
  readonly identity?: string | undefined;
  readonly addresses: readonly string[];
}

export function simulatedProxy(identity: ProxyIdentity, resources: XdsLookup): SimulatedProxy {
  // What is compiled lives as long as what it was compiled from.
  const listenerTables = new WeakMap<readonly Listener[], ListenerTable<Listener>>();
  const chainTables = new WeakMap<Listener, FilterChainTable>();
  const routeTables = new WeakMap<RouteConfiguration, RouteTable>();
  const managers = new WeakMap<HttpConnectionManager, Manager | Error>();
  const unpacked = new WeakMap<Any, Message>();
  const compileRoutes = (config: RouteConfiguration) => memo(routeTables, config, () => compileRoutesOnDemand(config));
  return {
    ...identity,
    identity: identity.identity,
    listeners: {
      match(ip, port) {
        const all = resources.listeners();
        return memo(listenerTables, all, () => compileListeners(all.map((config) => ({ config, value: config })))).match(ip, port);
      },
    },
    get all() {
      return resources.listeners();
    },
    listenerNamed: (name) => resources.listener(name),
    chains: (listener) => memo(chainTables, listener, () => compileFilterChains(listener)),
    routes(name) {
      const config = resources.routes(name);
      return config && compileRoutes(config);
    },
    routeConfig: (name) => resources.routes(name),
    compileRoutes,
    manager: (config) => memo(managers, config, () => compileManager(config)),
    cluster: (name) => resources.cluster(name),
    endpoints: (cluster) => cluster.loadAssignment ?? resources.endpoints(cluster.edsClusterConfig?.serviceName || cluster.name),
    secret: (name) => resources.secret(name),
    unpack(any, schema, where) {
      const known = any && unpacked.get(any);
      if (known?.$typeName === schema.typeName) return known as MessageShape<typeof schema>;
      const message = unpack(any, schema, where);
      unpacked.set(any!, message);
      return message;
    },
  };
}

function memo<K extends object, V>(map: WeakMap<K, V>, key: K, create: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = create();
    map.set(key, value);
  }
  return value;
}
