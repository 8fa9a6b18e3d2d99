import type { Context } from '../context.ts';
import { findGateway, gatewayNames } from './virtual-service-gateways.ts';

/** SP1028: gateways that only a match names: the VirtualService is not bound to them, so nothing there follows the rule. */
export function unboundGateways(context: Context): void {
  for (const virtualService of context.of('VirtualService')) {
    const { metadata, spec } = virtualService;
    // A delegate is bound to what its roots are.
    if (spec.hosts.length === 0) continue;
    for (const { name, bound, path } of gatewayNames(virtualService)) {
      if (bound || (name !== 'mesh' && !findGateway(context, name, metadata.namespace))) continue;
      const gateways = spec.gateways.join(', ');
      const where = name === 'mesh' ? 'on sidecars' : `at Gateway ${name}`;
      context.report(
        'SP1028',
        virtualService,
        path,
        `This match is for ${name}, and the VirtualService is bound to ${gateways} alone (spec.gateways; mesh where it is left out): the match never holds ${where}. Write gateways: [${gateways}, ${name}].`,
      );
    }
  }
}
