import { hostCovers } from '../../lib/hostname.ts';
import { isIp } from '../../lib/ip.ts';
import type { Context } from '../context.ts';

/**
 * IST0106 for what Istio's webhook refuses while its control plane serves it: where no webhook is asked (files, a cluster whose webhook is down) the
 * object is in force, so decoding lets it pass.
 */
export function refusedObjects(context: Context): void {
  for (const entry of context.of('ServiceEntry')) {
    const { resolution, endpoints, hosts } = entry.spec;
    if ((resolution !== 'DNS' && resolution !== 'DNS_ROUND_ROBIN') || endpoints.length > 0) continue;
    for (const [i, host] of hosts.entries()) {
      if (!host.includes('*')) continue;
      context.report(
        'IST0106',
        entry,
        ['spec', 'hosts', i],
        `spec.hosts[${i}]: "${host}" can't be resolved: with resolution ${resolution} a wildcard needs endpoints, and a cluster refuses the object. Where it is in force all the same, calls go to the address that was dialled. Use resolution NONE or DYNAMIC_DNS, or name the hosts.`,
      );
    }
  }
  for (const virtualService of context.of('VirtualService')) {
    if (virtualService.derivedFrom) continue;
    const { hosts, tls } = virtualService.spec;
    for (const [i, { match }] of tls.entries()) {
      for (const [j, { sniHosts }] of match.entries()) {
        for (const [k, sni] of sniHosts.entries()) {
          if (sni === '' || isIp(sni) || hosts.some((host) => hostCovers(host, sni))) continue;
          context.report(
            'IST0106',
            virtualService,
            ['spec', 'tls', i, 'match', j, 'sniHosts', k],
            `spec.tls[${i}].match[${j}].sniHosts[${k}]: "${sni}" is not among the hosts of the VirtualService (${hosts.join(', ')}), and a cluster refuses the object. Add it to hosts, or correct it.`,
          );
        }
      }
    }
  }
}
