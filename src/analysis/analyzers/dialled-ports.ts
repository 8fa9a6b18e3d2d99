import { originOf } from '../../api/resource.ts';
import { fullHostname } from '../../lib/hostname.ts';
import { originText } from '../../lib/origin.ts';
import type { Context } from '../context.ts';
import { type AnyRule, onMesh, withDelegates } from '../egress-model.ts';
import { destinationsOfRule } from './virtual-service-destinations.ts';

/** SP1010: ports of destinations with resolution NONE, which sidecars reach at the port that the client dialled. */
export function dialledPorts(context: Context): void {
  for (const alone of context.of('VirtualService')) {
    if (!onMesh(alone)) continue;
    const virtualService = withDelegates(context, alone);
    const { namespace } = virtualService.metadata;
    for (const kind of ['http', 'tls', 'tcp'] as const) {
      const rules: readonly AnyRule[] = virtualService.spec[kind];
      for (const [i, rule] of rules.entries()) {
        const called = calledPorts(rule);
        for (const { destination, path } of called.length > 0 ? destinationsOfRule(rule) : []) {
          const service = context.registry.lookup(fullHostname(destination.host, namespace).toLowerCase(), namespace);
          const port = service?.ports.find(({ number }) => number === destination.port?.number);
          if (!service || !port || service.registry !== 'External' || service.resolution !== 'Passthrough') continue;
          if (port.targetPort !== port.number || called.includes(port.number)) continue;
          context.report(
            'SP1010',
            virtualService,
            ['spec', kind, i, ...path, 'port'],
            `${service.hostname} has resolution NONE: the sidecar connects to the port that the client dialled, which is ${called.join(' or ')} here, and not ${port.number}. Use resolution DNS or STATIC in ${originText(originOf(service.resource))}, or write targetPort: ${port.number} at its port ${called[0]} and lead there.`,
          );
        }
      }
    }
  }
}

/** The ports of the calls that a rule takes on the mesh; none where one match says of no port. */
function calledPorts({ match }: AnyRule): readonly number[] {
  const onSidecars = match.filter(({ gateways }) => gateways.length === 0 || gateways.includes('mesh'));
  return onSidecars.every(({ port }) => port) ? [...new Set(onSidecars.map(({ port }) => port!))] : [];
}
