/** What a connection manager does to an authority before anything is matched. Pure. */
import { portStart } from './routes/redirect.ts';

export interface AuthorityOptions {
  /** `matching`: only the port that the client dialled. */
  readonly stripPort: 'none' | 'matching' | 'any';
  readonly stripTrailingHostDot: boolean;
}

/** What is no number is no port: it stays, for hosts that no virtual host has. */
function isPort(text: string, mode: AuthorityOptions['stripPort'], localPort: number): boolean {
  return /^\d+$/.test(text) && (mode === 'any' || Number(text) === localPort);
}

export function stripHost(authority: string, localPort: number, options: AuthorityOptions): string {
  const colon = options.stripPort === 'none' ? -1 : portStart(authority);
  let host = authority;
  if (colon >= 0 && isPort(authority.slice(colon + 1), options.stripPort, localPort)) host = authority.slice(0, colon);
  if (!options.stripTrailingHostDot) return host;
  const end = portStart(host);
  const name = end < 0 ? host : host.slice(0, end);
  return name.endsWith('.') ? name.slice(0, -1) + (end < 0 ? '' : host.slice(end)) : host;
}
