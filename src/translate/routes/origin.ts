import type { Resource } from '../../api/resource.ts';
import { Memo, NO_INPUTS } from '../../lib/memo.ts';
import type { Metadata } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { istioConfigPath, metadataOf } from '../metadata.ts';

/** Metadata of a route or filter chain that follows from one object; `origin` is another one that says more of where it was written. */
export function originMetadata(resource: Resource, origin: Resource = resource): Metadata | undefined {
  return kept.get([resource, origin], NO_INPUTS, () => metadataOf({ origins: [origin], istio: { config: istioConfigPath(resource) } }));
}

/** Many routes and chains follow from one object. */
const kept = new Memo<Metadata | undefined>();
