import { fullHostname } from '../../lib/hostname.ts';
import type { Context } from '../context.ts';

/** SP1052: `tls` and `tcp` rules that lead to a service with resolution DYNAMIC_DNS. Istio puts what resolves the name before a service's own chain alone. */
export function dynamicDnsRules(context: Context): void {
  for (const virtualService of context.of('VirtualService')) {
    for (const kind of ['tls', 'tcp'] as const) {
      for (const [i, { route }] of virtualService.spec[kind].entries()) {
        for (const [j, { destination }] of route.entries()) {
          const host = fullHostname(destination.host, virtualService.metadata.namespace).toLowerCase();
          if (!context.services.at(host).some(({ resolution }) => resolution === 'DynamicDNS')) continue;
          context.report(
            'SP1052',
            virtualService,
            ['spec', kind, i, 'route', j, 'destination', 'host'],
            `${host} has resolution DYNAMIC_DNS, and no name is resolved after a ${kind} rule in Istio: in a cluster connections on this route are closed (UH). ` +
              (kind === 'tls'
                ? 'Only proxies that have their configuration from here resolve the server name. '
                : 'Here, too: bytes name no host, and a server name could be any. ') +
              'Name the hosts that are needed in ServiceEntries with resolution DNS, or let the application call plain HTTP, with an http rule.',
          );
        }
      }
    }
  }
}
