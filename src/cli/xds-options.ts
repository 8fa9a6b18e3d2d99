/** Options of commands whose proxy has everything from a control plane: who it is, and how it reaches that. */
import { isIP } from 'node:net';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { XdsTlsOptions } from '../control/remote-options.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { isLoopbackAddress } from '../lib/socket-address.ts';
import { labelsOption, socketOption } from './options.ts';

/** Who the proxy's workload is, beside its name. */
export interface WorkloadOptions {
  readonly label: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly ip: string;
}

export type XdsOptions = WorkloadOptions & XdsTlsOptions;

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

/** Without a default: a proxy whose workload's DNS is not captured answers none. @param when words before the help */
export function dnsAddressOption(when = ''): Option {
  const help = `${when}where the workload's DNS is answered, over UDP and TCP: localhost is 127.0.0.1 and ::1`;
  const parse = socketOption('localhost');
  return new Option('--dns-address <address:port>', help).argParser((text) => {
    const at = parse(text);
    if (at.address === 'localhost' || isLoopbackAddress(at.address)) return at;
    throw new InvalidArgumentError('it answers the application beside it alone: choose a loopback address, as 127.0.0.1.');
  });
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
