/** What the admin server of an embedded proxy shows: its data planes, taken together. */

import { fromJson } from '@bufbuild/protobuf';
import type { AdminSource, ClusterState, ListenerState, LogLevel } from '../../admin/index.ts';
import type { Audit } from '../../audit/audit.ts';
import type { SocketAddress } from '../../lib/socket-address.ts';
import type { Carrier } from '../../proxy/carrier.ts';
import type { DataPlaneStatus } from '../../proxy/dataplane.ts';
import type { StatsSnapshot } from '../../proxy/stats/index.ts';
import { BootstrapSchema } from '../../xds/gen/envoy/config/bootstrap/v3/bootstrap_pb.js';
import { NodeSchema } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import type { NodeJson } from '../../xds/node.ts';
import type { Accepted } from './accepted.ts';

export interface AdminSourceOptions {
  readonly version: string;
  readonly node: NodeJson;
  readonly admin: SocketAddress;
  readonly concurrency: number;
  /** Milliseconds since the epoch. */
  readonly startTime: number;
  readonly carrier: Carrier;
  readonly accepted: Accepted;
  /** Whether a first change is in force. */
  readonly live: () => boolean;
  readonly level: { value: LogLevel };
  /** Ends the process. */
  readonly quit: () => void;
  readonly flows: AdminSource['flows'];
  readonly audit: Audit | undefined;
}

/** What a proxy says of itself where Envoy names its build: istioctl prints the version as that of the proxy. */
export function withBuild(node: NodeJson, version: string) {
  const [majorNumber = 0, minorNumber = 0, patch = 0] = version.split(/[.-]/).map(Number);
  return {
    ...node,
    userAgentName: 'sallyport',
    userAgentBuildVersion: { version: { majorNumber, minorNumber, patch }, metadata: { 'build.type': 'RELEASE' } },
  };
}

export function adminSource(options: AdminSourceOptions): AdminSource {
  const { carrier, accepted, admin } = options;
  const node = withBuild(options.node, options.version);
  let healthy = true;
  let draining = false;
  return {
    version: options.version,
    node: fromJson(NodeSchema, node),
    bootstrap: fromJson(BootstrapSchema, {
      node,
      admin: { address: { socketAddress: { address: admin.address, portValue: admin.port } } },
    }),
    concurrency: options.concurrency,
    startTime: options.startTime,
    now: Date.now,
    state: () => (draining || !healthy ? 'DRAINING' : options.live() ? 'LIVE' : 'PRE_INITIALIZING'),
    resources: () => accepted,
    stats: async () => withAudit(await carrier.stats(), options.audit),
    clusters: async () => clusterStates(await carrier.status(), accepted),
    listeners: async () => listenerStates(await carrier.status()),
    drainListeners: async () => {
      draining = true;
      // Begun; it goes on until the process ends.
      void carrier.drain(DRAIN_MS).catch(() => {});
    },
    setHealthy: (value) => {
      healthy = value;
    },
    quit: options.quit,
    flows: options.flows,
    logLevel: () => options.level.value,
    setLogLevel: (level) => {
      options.level.value = level;
    },
  };
}

/** How the process's audit does, among the numbers of its proxies. */
function withAudit(stats: StatsSnapshot, audit: Audit | undefined): StatsSnapshot {
  if (!audit) return stats;
  const { failing, failures, lost } = audit.state;
  return {
    ...stats,
    gauges: [...stats.gauges, { name: 'audit.failing', value: failing === undefined ? 0 : 1 }],
    counters: [...stats.counters, { name: 'audit.failures', value: failures }, { name: 'audit.lost', value: lost }],
  };
}

/** How long kept-alive connections may go on after /drain_listeners. */
const DRAIN_MS = 600_000;

function listenerStates(planes: readonly DataPlaneStatus[]): ListenerState[] {
  return (planes[0]?.listeners ?? []).map(({ name, addresses }) => ({ name, addresses }));
}

/** Hosts are known by their address; numbers of all data planes add up. */
function clusterStates(planes: readonly DataPlaneStatus[], accepted: Accepted): ClusterState[] {
  const services = new Map(accepted.resources.clusters.map((cluster) => [cluster.name, cluster.edsClusterConfig?.serviceName ?? '']));
  return (planes[0]?.clusters ?? []).map(({ name, limits, hosts }) => ({
    name,
    edsServiceName: services.get(name) ?? '',
    limits: {
      connections: limits.connections.max,
      pending: limits.pending.max,
      requests: limits.requests.max,
      retries: limits.retries.max,
    },
    hosts: hosts.map((host) => {
      const same = planes.flatMap(
        ({ clusters }) => clusters.find((cluster) => cluster.name === name)?.hosts.find(({ text }) => text === host.text) ?? [],
      );
      const sum = (field: 'active' | 'connections') => same.reduce((total, one) => total + one[field], 0);
      return {
        address: host.address,
        hostname: host.hostname,
        healthy: host.healthy,
        ejected: false,
        weight: host.weight,
        priority: 0,
        locality: { region: '', zone: '', subZone: '' },
        stats: { cx_active: sum('connections'), rq_active: sum('active') },
      };
    }),
  }));
}
