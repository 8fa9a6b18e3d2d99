import { fullHostname } from '../../lib/hostname.ts';
import type { Context } from '../context.ts';
import { type AnyRule, onMesh, withDelegates } from '../egress-model.ts';

/** On this port sidecars follow http rules for hosts that nothing declares, too. */
const UNDECLARED_HTTP = 80;

/** SP1046: rules on the mesh for ports that nothing declares for their hosts: there is no listener at which they could hold. */
export function undeclaredPorts(context: Context): void {
  for (const alone of context.of('VirtualService')) {
    if (!onMesh(alone)) continue;
    const virtualService = withDelegates(context, alone);
    const { gateways, hosts } = virtualService.spec;
    const services = hosts.flatMap((written) =>
      context.services.overlapping(fullHostname(written, virtualService.metadata.namespace).toLowerCase()),
    );
    if (hosts.some((host) => context.isBroken(host.toLowerCase()))) continue;
    const declared = new Set(services.flatMap(({ ports }) => ports.map(({ number }) => number)));
    for (const kind of ['http', 'tls', 'tcp'] as const) {
      const rules: readonly AnyRule[] = virtualService.spec[kind];
      for (const [i, { match }] of rules.entries()) {
        const here = match.filter((each) => (each.gateways.length > 0 ? each.gateways : gateways).includes('mesh'));
        // One that is for gateways as well may be meant for a port of theirs.
        const elsewhere = match.some((each) => each.gateways.length === 0 && gateways.some((name) => name !== 'mesh'));
        const isLost = (port: number | undefined) =>
          port !== undefined && port !== 0 && !declared.has(port) && !(kind === 'http' && port === UNDECLARED_HTTP);
        const lost = here.find(({ port }) => isLost(port));
        if (!lost || elsewhere || !here.every(({ port }) => isLost(port))) continue;
        context.report(
          'SP1046',
          virtualService,
          ['spec', kind, i, 'match', match.indexOf(lost), 'port'],
          `Nothing declares port ${lost.port} of ${hosts.join(', ')}${declared.size > 0 ? ` (declared: ${[...declared].sort((a, b) => a - b).join(', ')})` : ''}, so no sidecar listens for it and this rule never holds: such calls go as to an unknown host (refused under REGISTRY_ONLY, else straight out). Declare the port with a ServiceEntry, or correct the number.`,
        );
      }
    }
  }
}
