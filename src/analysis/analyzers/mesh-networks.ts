import { closest } from '../../lib/spelling.ts';
import type { Context } from '../context.ts';

/** Registries that every control plane has. */
const BUILT_IN = ['Kubernetes', 'External'];

/** IST0126: a network names a cluster for which the control plane has no remote Secret. */
export function meshNetworks(context: Context): void {
  const { meshNetworks: networks } = context;
  if (!networks) return;
  const remote = context.of('Secret').filter(({ metadata }) => metadata.labels['istio/multiCluster'] === 'true');
  const known = [...BUILT_IN, ...remote.flatMap(({ spec }) => Object.keys(spec.data))];
  for (const [name, network] of Object.entries(networks.spec.networks)) {
    for (const [i, { fromRegistry }] of network.endpoints.entries()) {
      if (!fromRegistry || known.includes(fromRegistry)) continue;
      const near = closest(fromRegistry, known);
      context.report(
        'IST0126',
        networks,
        ['networks', name, 'endpoints', i, 'fromRegistry'],
        `No cluster ${fromRegistry} is known (known are ${known.join(', ')}), so network ${name} has no endpoints from it, and calls to them do not go through its gateways. ${near ? `Did you mean ${near}?` : 'Add the Secret of that cluster (label istio/multiCluster: "true", with a key of that name), or correct the name.'}`,
      );
    }
  }
}
