/** What a connection manager does to an authority before anything is matched. Pure. */
import { portStart } from './redirect.ts';

export interface AuthorityOptions {
  /** `matching`: only the port that the client dialled. */
  readonly stripPort: 'none' | 'matching' | 'any';
  readonly stripTrailingHostDot: boolean;
}

export function stripHost(authority: string, localPort: number, options: AuthorityOptions): string {
  const colon = options.stripPort === 'none' ? -1 : portStart(authority);
  let host = authority;
  if (colon >= 0 && (options.stripPort === 'any' || authority.slice(colon + 1) === String(localPort))) host = authority.slice(0, colon);
  if (!options.stripTrailingHostDot) return host;
  const end = portStart(host);
  const name = end < 0 ? host : host.slice(0, end);
  return name.endsWith('.') ? name.slice(0, -1) + (end < 0 ? '' : host.slice(end)) : host;
}
