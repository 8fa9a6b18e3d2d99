/** Options of commands whose proxy has everything from a control plane: who it is, and how it reaches that. */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { SallyportError } from '../lib/errors.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { isLoopbackAddress, type SocketAddress } from '../lib/socket-address.ts';
import type { TlsFiles } from '../xds/ads/client-credentials.ts';
import { labelsOption } from './options.ts';

/** Who the proxy's workload is, beside its name. */
export interface WorkloadOptions {
  readonly label: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly ip: string;
}

export interface XdsOptions extends WorkloadOptions {
  readonly xdsTokenFile?: string;
  readonly xdsCa?: string;
  readonly xdsCert?: string;
  readonly xdsKey?: string;
}

export function addWorkloadOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--label <key=value>', "label of the workload, more than once if need be; the control plane's files come first")
        .argParser((text: string, all: Readonly<Record<string, string>>) => ({ ...all, ...labelsOption(text) }))
        .default({}, ''),
    )
    .option('--service-account <name>', 'of the workload: its identity', 'default')
    .option('--ip <address>', 'of the workload', ipOption, '127.0.0.1');
}

export function addXdsOptions(command: Command): Command {
  return addWorkloadOptions(command)
    .option('--xds-ca <file>', 'PEM file with the certificates of those who may be the control plane: it is reached by TLS then')
    .option('--xds-cert <file>', "PEM file with the workload's certificate chain, for mutual TLS")
    .option('--xds-key <file>', 'PEM file with its private key');
}

function ipOption(text: string): string {
  if (!isIP(text)) throw new InvalidArgumentError('it is an IP address.');
  return text;
}

export function identityFrom(
  type: ProxyIdentity['type'],
  { namespace, name }: { readonly namespace: string; readonly name: string },
  { label: labels, serviceAccount, ip }: WorkloadOptions,
): ProxyIdentity {
  return { type, name, namespace, labels, serviceAccount, addresses: [ip], locality: '' };
}

/** Undefined for plaintext. Throws `usage` for plaintext that would leave the machine, and for files that are of no use without others. */
export function tlsFiles({ address, port }: SocketAddress, { xdsCa, xdsCert, xdsKey, xdsTokenFile }: XdsOptions): TlsFiles | undefined {
  if (port === 0) throw new SallyportError('usage', '--xds needs the port of the control plane, e.g. 127.0.0.1:15010');
  if ((xdsCert === undefined) !== (xdsKey === undefined))
    throw new SallyportError('usage', '--xds-cert and --xds-key go together: name the certificate chain and its private key');
  if (xdsTokenFile !== undefined && xdsCa === undefined)
    throw new SallyportError(
      'usage',
      '--xds-token-file needs --xds-ca: a token is shown to nobody but the control plane. Name the file with the certificates of those who may be that',
    );
  if (xdsCa === undefined) {
    if (xdsCert !== undefined)
      throw new SallyportError('usage', '--xds-cert needs --xds-ca: the file with the certificates of those who may be the control plane');
    if (!isLoopbackAddress(address))
      throw new SallyportError(
        'usage',
        `--xds ${address}:${port}: without TLS a control plane is asked only at a loopback address, as 127.0.0.1. Name whom to trust with --xds-ca`,
      );
    return undefined;
  }
  const own = xdsCert !== undefined && xdsKey !== undefined ? { own: { certificate: resolve(xdsCert), key: resolve(xdsKey) } } : {};
  const token = xdsTokenFile === undefined ? {} : { token: resolve(xdsTokenFile) };
  return { ca: resolve(xdsCa), ...own, ...token };
}
