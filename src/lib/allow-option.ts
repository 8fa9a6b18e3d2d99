/** How a host is allowed on the command line. */

import { isIP } from 'node:net';
import { bracketed } from './socket-address.ts';

/** The option that allows calls to this host and port, e.g. `--allow registry.example.com`. */
export function allowOption({ host, port }: { readonly host: string; readonly port: number }): string {
  const name = bracketed(host);
  if (port === 0) return `--allow ${name}`;
  if (isIP(host) === 0 && (port === 80 || port === 443)) return `--allow ${name}`;
  return `--allow tcp://${name}:${port}`;
}
