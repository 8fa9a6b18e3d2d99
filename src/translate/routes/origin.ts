import type { Resource } from '../../api/resource.ts';
import { Memo, NO_INPUTS } from '../../lib/memo.ts';
import type { Metadata } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import type { BindingJson } from '../binding.ts';
import { istioConfigPath, metadataOf } from '../metadata.ts';

/**
 * Metadata of a route or filter chain that follows from one object; `origin` is another one that says more of where it was written, `bind` what its calls have
 * to agree with.
 */
export function originMetadata(resource: Resource, origin: Resource = resource, bind?: BindingJson): Metadata | undefined {
  const make = () => metadataOf({ origins: [origin], istio: { config: istioConfigPath(resource) }, bind });
  return bind ? bound.get([resource, origin, bind], NO_INPUTS, make) : kept.get([resource, origin], NO_INPUTS, make);
}

/** Many routes and chains follow from one object. */
const kept = new Memo<Metadata | undefined>();
const bound = new Memo<Metadata | undefined>();
