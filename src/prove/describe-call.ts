import type { Call } from '../simulate/call.ts';

/** A call in the words that `explain` takes. */
export function describeCall({ destination, payload: { tls, http } }: Call): string {
  const to = `--to ${destination.ip}`;
  if (http) {
    const { method, authority, path, headers } = http;
    const host = /:\d+$/.test(authority) ? authority : `${authority}:${destination.port}`;
    const lines = [...headers].map(([name, value]) => ` -H '${name}: ${value}'`).join('');
    const sni = tls && tls.serverName !== authority.replace(/:\d+$/, '') ? ` --sni '${tls.serverName}'` : '';
    return `${method} ${tls ? 'https' : 'http'}://${host}${path}${lines}${sni} ${to}`;
  }
  if (tls) return tls.serverName ? `tls://${tls.serverName}:${destination.port} ${to}` : `tls://${destination.ip}:${destination.port}`;
  return `tcp://${destination.ip}:${destination.port}`;
}
