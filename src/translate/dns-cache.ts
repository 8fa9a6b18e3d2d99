import { create } from '@bufbuild/protobuf';
import type { MeshConfig } from '../api/index.ts';
import { Cluster_DnsLookupFamily } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { type DnsCacheConfig, DnsCacheConfigSchema } from '../xds/gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache_pb.js';
import { dnsCacheName } from './names.ts';
import { toDuration } from './proto.ts';

/**
 * Where a service with resolution DYNAMIC_DNS keeps what its names resolve to. The cluster and the filters before it have to say the same:
 * Envoy refuses two descriptions of one cache.
 */
export function dnsCacheConfig(hostname: string, config: MeshConfig): DnsCacheConfig {
  return create(DnsCacheConfigSchema, {
    name: dnsCacheName(hostname),
    dnsLookupFamily: Cluster_DnsLookupFamily.V4_ONLY,
    dnsRefreshRate: toDuration(config.dnsRefreshRate),
    maxHosts: 1024,
  });
}
