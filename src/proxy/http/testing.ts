/** A connection manager on a loopback port with clusters that are lists of ports: what the tests and the micro benchmark drive. */

import net from 'node:net';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { compileRouteConfiguration } from '../../http/routes/route.ts';
import { ClusterSchema } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { type RouteConfiguration, RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { CorsSchema } from '../../xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import { HTTPFaultSchema } from '../../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { RouterSchema } from '../../xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js';
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { zeroClusterStats } from '../stats/cluster.ts';
import type {
  AccessRecord,
  Address,
  Cluster,
  ClusterManager,
  ConnectionHandler,
  Downstream,
  RecordSink,
  UpstreamFailure,
  UpstreamHost,
} from '../types.ts';
import { createHttpConnectionManager, createHttpPools, type HttpManagerDeps, type HttpPools } from './manager.ts';

export interface FakeHost extends UpstreamHost {
  live: boolean;
}

export interface FakeCluster extends Cluster {
  readonly hosts: FakeHost[];
  /** Takes the place of a host in the next choices. */
  failure: UpstreamFailure | undefined;
  protocol: Cluster['protocol'];
  maxRequestsPerConnection: number;
  idleTimeoutMs: number;
  http2KeepAlive: Cluster['http2KeepAlive'];
  http2MaxStreams: number;
  /** What TLS would have negotiated. */
  alpn: string;
  /** Options of the connections that were asked for. */
  readonly connects: { readonly authority: string | undefined }[];
}

export function fakeHost(port: number, hostname = ''): FakeHost {
  return { address: { ip: '127.0.0.1', port }, text: `127.0.0.1:${port}`, hostname, active: 0, live: true };
}

/** Round robin over ports on 127.0.0.1. */
export function fakeCluster(name: string, ports: readonly number[]): FakeCluster {
  const limit = () => ({ max: 1_000_000, used: 0 });
  let turn = 0;
  const cluster: FakeCluster = {
    name,
    config: create(ClusterSchema, { name }),
    protocol: 'http1',
    trailers: false,
    outliers: undefined,
    maxRequestsPerConnection: 0,
    idleTimeoutMs: 0,
    http2KeepAlive: undefined,
    http2MaxStreams: 1024,
    connectTimeoutMs: 1000,
    limits: { connections: limit(), pending: limit(), requests: limit(), retries: limit() },
    hosts: ports.map((port) => fakeHost(port)),
    failure: undefined,
    connects: [],
    alpn: '',
    choose() {
      if (cluster.failure) return cluster.failure;
      return cluster.hosts.length === 0 ? { kind: 'no-host' } : cluster.hosts[turn++ % cluster.hosts.length];
    },
    connect(host, options, done) {
      cluster.connects.push({ authority: options.authority });
      cluster.limits.connections.used++;
      const socket = net.connect({
        host: host.address.ip,
        port: host.address.port,
        noDelay: true,
        allowHalfOpen: options.halfOpen ?? false,
      });
      let open = true;
      socket.once('close', () => {
        cluster.limits.connections.used--;
      });
      const failed = () => {
        if (!open) return;
        open = false;
        done({ kind: 'connect', reason: 'delayed connect error: Connection refused' }, socket, '');
      };
      socket.on('error', failed);
      socket.once('connect', () => {
        if (!open) return;
        open = false;
        done(undefined, socket, cluster.alpn);
      });
      return () => {
        open = false;
        socket.destroy();
      };
    },
    stats: zeroClusterStats(),
  };
  return cluster;
}

/** Fault, CORS and the router, as proxies have them by default. */
export const FILTERS = [
  { name: 'envoy.filters.http.fault', configType: { case: 'typedConfig', value: anyPack(HTTPFaultSchema, create(HTTPFaultSchema)) } },
  { name: 'envoy.filters.http.cors', configType: { case: 'typedConfig', value: anyPack(CorsSchema, create(CorsSchema)) } },
  { name: 'envoy.filters.http.router', configType: { case: 'typedConfig', value: anyPack(RouterSchema, create(RouterSchema)) } },
] satisfies MessageInitShape<typeof HttpConnectionManagerSchema>['httpFilters'];

export interface Proxy {
  readonly port: number;
  readonly clusters: Map<string, FakeCluster>;
  readonly records: AccessRecord[];
  readonly warnings: string[];
  readonly handler: ConnectionHandler;
  readonly pools: HttpPools;
  setRoutes(routes: MessageInitShape<typeof RouteConfigurationSchema>): void;
  /** The next record that is written. */
  nextRecord(): Promise<AccessRecord>;
  close(): Promise<void>;
}

export interface ProxyOptions {
  readonly manager?: MessageInitShape<typeof HttpConnectionManagerSchema>;
  readonly routes: MessageInitShape<typeof RouteConfigurationSchema>;
  readonly clusters: readonly FakeCluster[];
  readonly direction?: HttpManagerDeps['direction'];
  readonly downstream?: Partial<Downstream>;
  readonly random?: () => number;
  readonly now?: () => number;
  readonly sink?: RecordSink;
  /** Called for each connection before the manager gets it. */
  readonly onSocket?: (socket: net.Socket) => void;
  readonly port?: number;
}

/** Every request to the cluster `name`. */
export function routesTo(name: string): RouteConfiguration {
  return create(RouteConfigurationSchema, {
    virtualHosts: [
      {
        name: 'all',
        domains: ['*'],
        routes: [
          {
            match: { pathSpecifier: { case: 'prefix', value: '/' } },
            action: { case: 'route', value: { clusterSpecifier: { case: 'cluster', value: name } } },
          },
        ],
      },
    ],
  });
}

export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const clusters = new Map(options.clusters.map((cluster) => [cluster.name, cluster]));
  const manager: ClusterManager = { get: (name) => clusters.get(name) };
  const now = options.now ?? (() => performance.now());
  let table = compileRouteConfiguration(create(RouteConfigurationSchema, options.routes));
  const records: AccessRecord[] = [];
  const warnings: string[] = [];
  const waiting: ((record: AccessRecord) => void)[] = [];
  const pools = createHttpPools(manager, now);
  const config: HttpConnectionManager = create(HttpConnectionManagerSchema, {
    statPrefix: 'test',
    routeSpecifier: { case: 'rds', value: { routeConfigName: 'routes' } },
    httpFilters: FILTERS,
    ...options.manager,
  });
  const handler = createHttpConnectionManager(config, {
    clusters: manager,
    routes: { get: () => table },
    pools,
    sink: options.sink ?? {
      record(record) {
        const waiter = waiting.shift();
        if (waiter) waiter(record);
        else records.push(record);
      },
    },
    random: options.random ?? (() => Math.floor(Math.random() * Number.MAX_SAFE_INTEGER)),
    now,
    timeOrigin: performance.timeOrigin,
    direction: options.direction ?? 'outbound',
    logger: { warn: (message) => warnings.push(message) },
  });
  let id = 0;
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ noDelay: true, pauseOnConnect: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    options.onSocket?.(socket);
    handler.onConnection(downstreamOf(socket, ++id, options.downstream));
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    clusters,
    records,
    warnings,
    handler,
    pools,
    setRoutes(routes) {
      table = compileRouteConfiguration(create(RouteConfigurationSchema, routes));
    },
    nextRecord() {
      const record = records.shift();
      return record ? Promise.resolve(record) : new Promise((resolve) => waiting.push(resolve));
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      pools.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function downstreamOf(socket: net.Socket, id: number, overrides: Partial<Downstream> = {}): Downstream {
  const local: Address = { ip: socket.localAddress ?? '', port: socket.localPort ?? 0 };
  return {
    id,
    socket,
    head: undefined,
    remoteAddress: { ip: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 },
    localAddress: local,
    directRemoteAddress: { ip: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 },
    directLocalAddress: local,
    localAddressRestored: false,
    listenerName: 'test',
    filterChainName: '',
    serverName: '',
    alpn: '',
    tls: undefined,
    startTime: Date.now(),
    reenter: undefined,
    ...overrides,
  };
}
