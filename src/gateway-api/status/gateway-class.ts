/** The status of a GatewayClass of ours. */
import { conditionsFor } from '../../api/condition.ts';
import type { ResourceOf } from '../../api/index.ts';
import { SUPPORTED_FEATURES } from './features.ts';
import type { WantedStatus } from './wanted.ts';

/** @param problem why its parameters cannot be had */
export function classStatus(resource: ResourceOf<'GatewayClass'>, problem: string | undefined): WantedStatus {
  const condition = conditionsFor(resource);
  const accepted = problem
    ? condition('Accepted', false, 'InvalidParameters', problem)
    : condition('Accepted', true, 'Accepted', 'Sallyport serves the Gateways of this class');
  return {
    kind: 'GatewayClass',
    namespace: '',
    name: resource.metadata.name,
    status: { conditions: [accepted], supportedFeatures: SUPPORTED_FEATURES.map((name) => ({ name })) },
  };
}
