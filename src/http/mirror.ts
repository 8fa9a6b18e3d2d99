/** What a copy of a request (`request_mirror_policies`) looks like, beside what it has of the request; its authority is that of `shadowAuthority`. */
import type { HeaderMap } from './header-map.ts';

/** As requests of Envoy's own: internal, and forwarded for this proxy. `localIp`: the address that the copy is sent from, where that is known. */
export function markMirrored(headers: HeaderMap, localIp: string | undefined): void {
  headers.set('x-envoy-internal', 'true');
  if (localIp) headers.set('x-forwarded-for', [...headers.all('x-forwarded-for'), localIp].join(','));
}
