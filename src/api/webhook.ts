/**
 * What Istio's webhook refuses while its control plane serves it: where no webhook is asked (files, a cluster whose webhook is down) the object is in
 * force, so decoding lets it pass, and whether it is in force is not known of files alone.
 */
import { hostCovers } from '../lib/hostname.ts';
import { isIp } from '../lib/ip.ts';
import type { ResourceOf } from './index.ts';

interface Refusal {
  readonly path: readonly (string | number)[];
  /** Why, and what to do, without the path. */
  readonly why: string;
}

/** A wildcard that DNS is to resolve and that has no endpoints. */
export function refusedHosts({ spec: { resolution, endpoints, hosts } }: ResourceOf<'ServiceEntry'>): Refusal[] {
  if ((resolution !== 'DNS' && resolution !== 'DNS_ROUND_ROBIN') || endpoints.length > 0) return [];
  return hosts.flatMap((host, i) =>
    host.includes('*')
      ? [
          {
            path: ['spec', 'hosts', i],
            why: `"${host}" can't be resolved: with resolution ${resolution} a wildcard needs endpoints, and a cluster refuses the object. Where it is in force all the same, calls go to the address that was dialled. Use resolution NONE or DYNAMIC_DNS, or name the hosts.`,
          },
        ]
      : [],
  );
}

/** Server names that are none of the VirtualService's hosts. Objects of the Gateway API are checked by other rules. */
export function refusedServerNames({ derivedFrom, spec: { hosts, tls } }: ResourceOf<'VirtualService'>): Refusal[] {
  if (derivedFrom) return [];
  return tls.flatMap(({ match }, i) =>
    match.flatMap(({ sniHosts }, j) =>
      sniHosts.flatMap((sni, k) =>
        sni === '' || isIp(sni) || hosts.some((host) => hostCovers(host, sni))
          ? []
          : [
              {
                path: ['spec', 'tls', i, 'match', j, 'sniHosts', k],
                why: `"${sni}" is not among the hosts of the VirtualService (${hosts.join(', ')}), and a cluster refuses the object. Add it to hosts, or correct it.`,
              },
            ],
      ),
    ),
  );
}
