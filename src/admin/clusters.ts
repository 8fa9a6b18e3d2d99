/** Envoy's `/clusters` and `/listeners`. */

import { create, type JsonObject } from '@bufbuild/protobuf';
import { addressText } from '../lib/socket-address.ts';
import { ClustersSchema } from '../xds/gen/envoy/admin/v3/clusters_pb.js';
import { ListenersSchema } from '../xds/gen/envoy/admin/v3/listeners_pb.js';
import { SimpleMetric_Type } from '../xds/gen/envoy/admin/v3/metrics_pb.js';
import { type Address, AddressSchema } from '../xds/gen/envoy/config/core/v3/address_pb.js';
import { HealthStatus } from '../xds/gen/envoy/config/core/v3/health_check_pb.js';
import { toAdminJson } from './json.ts';
import { type ClusterState, HOST_STATS, type HostState, type ListenerState } from './model.ts';

function addressOf({ ip, port }: { readonly ip: string; readonly port: number }): Address {
  return create(AddressSchema, {
    address: ip.startsWith('/')
      ? { case: 'pipe', value: { path: ip } }
      : { case: 'socketAddress', value: { address: ip, portSpecifier: { case: 'portValue', value: port } } },
  });
}

export function clustersText(clusters: readonly ClusterState[]): string {
  const lines: string[] = [];
  for (const { name, edsServiceName, limits, hosts } of clusters) {
    const add = (...parts: (string | number | boolean)[]) => lines.push([name, ...parts].join('::'));
    add('observability_name', name);
    for (const priority of ['default_priority', 'high_priority']) {
      add(priority, 'max_connections', limits.connections);
      add(priority, 'max_pending_requests', limits.pending);
      add(priority, 'max_requests', limits.requests);
      add(priority, 'max_retries', limits.retries);
    }
    add('added_via_api', true);
    if (edsServiceName) add('eds_service_name', edsServiceName);
    for (const host of hosts) {
      const address = addressText(host.address);
      for (const stat of HOST_STATS) add(address, stat, host.stats[stat] ?? 0);
      add(address, 'hostname', host.hostname);
      add(address, 'health_flags', healthFlags(host));
      add(address, 'weight', host.weight);
      add(address, 'region', host.locality.region);
      add(address, 'zone', host.locality.zone);
      add(address, 'sub_zone', host.locality.subZone);
      add(address, 'canary', false);
      add(address, 'priority', host.priority);
      add(address, 'success_rate', '-1');
      add(address, 'local_origin_success_rate', '-1');
    }
  }
  return lines.map((line) => `${line}\n`).join('');
}

function healthFlags({ healthy, ejected }: HostState): string {
  return [...(healthy ? [] : ['/failed_eds_health']), ...(ejected ? ['/failed_outlier_check'] : [])].join('') || 'healthy';
}

export function clustersJson(clusters: readonly ClusterState[]): JsonObject {
  return toAdminJson(
    ClustersSchema,
    create(ClustersSchema, {
      clusterStatuses: clusters.map(({ name, edsServiceName, limits, hosts }) => ({
        name,
        observabilityName: name,
        addedViaApi: true,
        edsServiceName,
        circuitBreakers: {
          thresholds: [
            {
              maxConnections: limits.connections,
              maxPendingRequests: limits.pending,
              maxRequests: limits.requests,
              maxRetries: limits.retries,
            },
          ],
        },
        hostStatuses: hosts.map((host) => ({
          address: addressOf(host.address),
          hostname: host.hostname,
          weight: host.weight,
          priority: host.priority,
          locality: host.locality,
          healthStatus: { edsHealthStatus: host.healthy ? HealthStatus.HEALTHY : HealthStatus.UNHEALTHY, failedOutlierCheck: host.ejected },
          stats: HOST_STATS.map((stat) => ({
            name: stat,
            value: BigInt(host.stats[stat] ?? 0),
            type: stat.endsWith('active') ? SimpleMetric_Type.GAUGE : SimpleMetric_Type.COUNTER,
          })),
        })),
      })),
    }),
  );
}

export function listenersText(listeners: readonly ListenerState[]): string {
  return listeners.flatMap(({ name, addresses }) => addresses.map((address) => `${name}::${addressText(address)}\n`)).join('');
}

export function listenersJson(listeners: readonly ListenerState[]): JsonObject {
  return toAdminJson(
    ListenersSchema,
    create(ListenersSchema, {
      listenerStatuses: listeners.map(({ name, addresses: [first, ...rest] }) => ({
        name,
        localAddress: first && addressOf(first),
        additionalLocalAddresses: rest.map(addressOf),
      })),
    }),
  );
}
