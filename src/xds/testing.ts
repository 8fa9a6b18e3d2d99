/** For tests: sets of resources. */
import { create } from '@bufbuild/protobuf';
import { ClusterSchema } from './gen/envoy/config/cluster/v3/cluster_pb.js';
import { NameTableSchema } from './gen/istio/nds_pb.js';
import type { XdsResources } from './resources.ts';

/** Clusters alone: by name the `alt_stat_name`, which stands for whatever may change. */
export function clusterSet(clusters: Readonly<Record<string, string>>): XdsResources {
  return {
    listeners: [],
    routes: [],
    clusters: Object.entries(clusters).map(([name, altStatName]) => create(ClusterSchema, { name, altStatName })),
    endpoints: [],
    secrets: [],
    nameTable: create(NameTableSchema),
  };
}
