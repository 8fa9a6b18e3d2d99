/** Authorities (`host:port`, RFC 3986 §3.2): read in one place, and changed as a connection manager does before anything is matched. */
import { parseIp } from '../lib/ip.ts';

export interface Authority {
  /** A name or an IP address, without brackets. */
  readonly host: string;
  readonly port: number;
}

const AUTHORITY = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/;

/** Takes an authority apart; what has no such form is a host as a whole. `defaultPort` is that of an authority without one. */
export function splitAuthority(authority: string, defaultPort: number): Authority {
  const match = AUTHORITY.exec(authority);
  if (!match) return { host: authority, port: defaultPort };
  return { host: match[1] ?? match[2]!, port: match[3] === undefined ? defaultPort : Number(match[3]) };
}

const STRICT = /^(?:\[([0-9A-Fa-f:.]+)\]|[A-Za-z0-9._~-]+)(?::(\d{1,5}))?$/;

/**
 * Whether a client names a host so that all read it alike: a name of letters, digits and `._~-`, or an IP address, IPv6 in brackets, and a port or
 * none. Stricter than RFC 3986 §3.2: no escapes, no lists, no user information, no port without a number.
 */
export function isAuthority(text: string): boolean {
  const match = STRICT.exec(text);
  return (
    match !== null && (match[1] === undefined || parseIp(match[1]) !== undefined) && (match[2] === undefined || Number(match[2]) < 65_536)
  );
}

/** The default port of a scheme (RFC 9110 §4.2). */
export function defaultPort(scheme: string): number {
  return scheme === 'https' ? 443 : 80;
}

/** A target that a client names: a host name in lower case without a trailing dot, or an address, and a port; undefined if it names none. */
export function parseAuthority(text: string, defaultPort: number | undefined): Authority | undefined {
  const { host, port } = splitAuthority(text, defaultPort ?? 0);
  const known = text.startsWith('[') ? (/^[0-9a-fA-F:.]+$/.test(host) ? host : undefined) : hostName(host);
  return known !== undefined && port > 0 && port < 65536 ? { host: known, port } : undefined;
}

/** A host name in lower case without a trailing dot; undefined for what is none. */
export function hostName(text: string): string | undefined {
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  return name.length > 0 && name.length <= 253 && /^[\w.-]+$/.test(name) ? name.toLowerCase() : undefined;
}

/** Where `:port` starts in an authority, or -1. Brackets around an IPv6 address are respected. */
export function portStart(authority: string): number {
  const colon = authority.lastIndexOf(':');
  if (colon < 0 || !authority.startsWith('[')) return colon;
  return authority[colon - 1] === ']' ? colon : -1;
}

/** The authority of a mirrored request: `-shadow` goes before the port. */
export function shadowAuthority(authority: string): string {
  return authority.replace(/(:\d+)?$/, (port) => `-shadow${port}`);
}

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
