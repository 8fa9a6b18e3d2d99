/** Addresses of servers. */
import { isIP } from 'node:net';

/** Where a server listens. */
export interface SocketAddress {
  readonly address: string;
  /** 0 means no port in some places and any free port in others; each place that takes an address says which. */
  readonly port: number;
}

/** `ip:port`, an IPv6 address in brackets; of a unix socket its path. */
export function addressText({ ip, port }: { readonly ip: string; readonly port: number }): string {
  if (ip.startsWith('/')) return ip;
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** Whether an IP address is this machine's alone; a name is not, wherever it leads. */
export function isLoopbackAddress(address: string): boolean {
  return address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}
