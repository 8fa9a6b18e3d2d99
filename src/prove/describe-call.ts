import type { Call } from '../simulate/call.ts';

/** As `explain` takes it. */
export function describeCall({ destination, payload }: Call): string {
  const to = `--to ${destination.ip}`;
  if (payload.http) {
    const { method, authority, path, headers } = payload.http;
    const host = /:\d+$/.test(authority) ? authority : `${authority}:${destination.port}`;
    const lines = [...headers].map(([name, value]) => ` -H '${name}: ${value}'`).join('');
    return `${method} http://${host}${path}${lines} ${to}`;
  }
  if (payload.tls)
    return payload.tls.serverName
      ? `tls://${payload.tls.serverName}:${destination.port} ${to}`
      : `tls://${destination.ip}:${destination.port}`;
  return `tcp://${destination.ip}:${destination.port}`;
}
