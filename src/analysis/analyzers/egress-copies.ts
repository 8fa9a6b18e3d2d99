import type { Destination, HttpRoute } from '../../api/index.ts';
import type { PathStep } from '../../api/resource.ts';
import { fullHostname } from '../../lib/hostname.ts';
import type { Context } from '../context.ts';
import { destinationHosts, gatewayServices, onMesh, type VirtualService, withDelegates } from '../egress-model.ts';

/** SP1008: copies of requests that leave straight from the sidecar, while the requests themselves go through the egress gateway. */
export function copiesPastGateways(context: Context): void {
  const services = gatewayServices(context);
  for (const alone of context.of('VirtualService')) {
    if (!onMesh(alone)) continue;
    const virtualService = withDelegates(context, alone);
    for (const [i, rule] of virtualService.spec.http.entries()) {
      const onSidecars = rule.match.length === 0 || rule.match.some(({ gateways }) => gateways.length === 0 || gateways.includes('mesh'));
      if (!onSidecars || !destinationHosts(virtualService, rule).some((host) => services.has(host))) continue;
      for (const { host, path } of copiesOf(virtualService, rule)) {
        if (!context.services.covering(host).some(({ meshExternal }) => meshExternal)) continue;
        context.report(
          'SP1008',
          virtualService,
          ['spec', 'http', i, ...path],
          `On the mesh this rule leads requests to the egress gateway, and copies of them straight to ${host}, from the sidecar. Mirror at the gateway: move the mirror to the rule that holds there.`,
        );
      }
    }
  }
}

/** The hosts to which a rule sends copies, each with its place in the rule. */
function copiesOf(
  { metadata }: VirtualService,
  { mirror, mirrors }: HttpRoute,
): { readonly host: string; readonly path: readonly PathStep[] }[] {
  const inFull = ({ host }: Destination) => fullHostname(host, metadata.namespace).toLowerCase();
  return [
    ...(mirror ? [{ host: inFull(mirror), path: ['mirror', 'host'] }] : []),
    ...mirrors.map(({ destination }, i) => ({ host: inFull(destination), path: ['mirrors', i, 'destination', 'host'] })),
  ];
}
