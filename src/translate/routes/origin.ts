import type { Resource } from '../../api/resource.ts';
import type { Metadata } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { istioConfigPath, metadataOf } from '../metadata.ts';

/** Metadata of a route or filter chain that follows from one object. */
export function originMetadata(resource: Resource): Metadata | undefined {
  return metadataOf({ origins: [resource], istio: { config: istioConfigPath(resource) } });
}
