/** Cookies of a request (RFC 6265, 5.4). */
import type { IncomingHttpHeaders } from 'node:http';

/** The values of those with this name: a browser may send several. */
export function cookieIn({ cookie = '' }: IncomingHttpHeaders, name: string): readonly string[] {
  return cookie.split(';').flatMap((pair) => {
    const [key, value = ''] = pair.trim().split('=', 2);
    return key === name ? [value] : [];
  });
}
