import { fullHostname, hostsOverlap, isWildcard } from '../../lib/hostname.ts';
import type { Context } from '../context.ts';
import { type AnyRule, destinationHosts, type VirtualService } from '../egress-model.ts';

/** SP1054: of several hosts of a VirtualService one that bytes are led away from, to another one of them: whoever answers is not who was called. */
export function ledAstray(context: Context): void {
  for (const virtualService of context.of('VirtualService')) {
    const { spec, metadata } = virtualService;
    const hosts = spec.hosts.map((host) => fullHostname(host, metadata.namespace).toLowerCase());
    if (hosts.length < 2) continue;
    for (const kind of ['tls', 'tcp'] as const) {
      const rules: readonly AnyRule[] = spec[kind];
      for (const host of hosts.filter((each) => !isWildcard(each) && isExternal(context, each))) {
        const decided = new Set<string>();
        for (const [i, rule] of rules.entries()) {
          const holds = placesOf(virtualService, rule, host).filter((place) => !decided.has(place));
          for (const place of holds) decided.add(place);
          const led = destinationHosts(virtualService, rule);
          const other = led.find((each) => each !== host && hosts.includes(each));
          if (holds.length === 0 || other === undefined || led.includes(host)) continue;
          context.report(
            'SP1054',
            virtualService,
            ['spec', kind, i, 'route', led.indexOf(other), 'destination', 'host'],
            `Calls to ${host} meet this ${kind} rule too, which leads them to ${other}: it changes no name in what they carry, and the server that answers is not the one that was called. ${kind === 'tls' ? `Give ${host} a rule of its own, with its name in sniHosts` : `A tcp rule cannot tell hosts apart: give ${host} a VirtualService of its own`}, or take it out of the hosts.`,
          );
        }
      }
    }
  }
}

function isExternal({ services }: Context, host: string): boolean {
  return services.at(host).some(({ meshExternal }) => meshExternal);
}

/** At which gateways and ports the rule takes calls to the host; one that names no port takes those to all. */
function placesOf({ spec }: VirtualService, { match }: AnyRule, host: string): string[] {
  if (match.length === 0) return spec.gateways.map((gateway) => `${gateway} `);
  return match
    .filter(({ sniHosts }) => !sniHosts || sniHosts.some((name) => hostsOverlap(name.toLowerCase(), host)))
    .flatMap(({ gateways, port }) => (gateways.length > 0 ? gateways : spec.gateways).map((gateway) => `${gateway} ${port || ''}`));
}
