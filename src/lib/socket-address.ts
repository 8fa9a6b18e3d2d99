/** Addresses of servers. */
import { isIP } from 'node:net';

/** Where a server listens. */
export interface SocketAddress {
  readonly address: string;
  /** 0 means no port in some places and any free port in others; each place that takes an address says which. */
  readonly port: number;
}

/** `ip:port`, an IPv6 address in brackets; of a unix socket its path or abstract name, of an internal listener what Envoy prints (`envoy://…`). */
export function addressText({ ip, port }: { readonly ip: string; readonly port: number }): string {
  return /^(?:[/@]|envoy:)/.test(ip) ? ip : hostPort(ip, port);
}

/** The parts of what `addressText` wrote. */
export function splitAddress(text: string): { readonly ip: string; readonly port: number } {
  const colon = text.lastIndexOf(':');
  return { ip: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}

/** A host as it stands before a port: an IPv6 address in brackets. */
export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

export function hostPort(host: string, port: number): string {
  return `${bracketed(host)}:${port}`;
}

/** Whether an IP address is this machine's alone; a name is not, wherever it leads. */
export function isLoopbackAddress(address: string): boolean {
  return address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}
