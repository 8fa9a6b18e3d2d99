/** The status of a GatewayClass of ours. */
import type { ResourceOf } from '../../api/index.ts';
import { conditionsFor, type WantedStatus } from './condition.ts';
import { SUPPORTED_FEATURES } from './features.ts';

export function classStatus(resource: ResourceOf<'GatewayClass'>): WantedStatus {
  const condition = conditionsFor(resource);
  const { parametersRef } = resource.spec;
  const accepted = parametersRef
    ? condition(
        'Accepted',
        false,
        'InvalidParameters',
        `parametersRef names ${parametersRef.kind} ${parametersRef.name}: a class takes no parameters here. Remove it.`,
      )
    : condition('Accepted', true, 'Accepted', 'Sallyport serves the Gateways of this class');
  return {
    kind: 'GatewayClass',
    namespace: '',
    name: resource.metadata.name,
    status: { conditions: [accepted], supportedFeatures: SUPPORTED_FEATURES.map((name) => ({ name })) },
  };
}
