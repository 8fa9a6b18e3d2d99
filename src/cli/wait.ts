/** `sallyport wait`: for whoever must not begin before a proxy is ready, as the application beside a classic sidecar. */
import { Command, Option } from 'commander';
import { waitUntilReady } from '../lib/readiness.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { durationOption, socketOption } from './options.ts';

interface Options {
  readonly statusAddress: SocketAddress;
  readonly timeout: number;
}

export function waitCommand(): Command {
  return new Command('wait')
    .summary('wait until the proxy is ready')
    .description('Ends when the proxy or control plane at the status address is ready.')
    .addOption(
      new Option('--status-address <address:port>', 'of the proxy')
        .argParser(socketOption('127.0.0.1'))
        .default({ address: '127.0.0.1', port: 15021 }, '127.0.0.1:15021'),
    )
    .addOption(new Option('--timeout <duration>', 'after which it fails').argParser(durationOption).default(60_000, '1m'))
    .action(async ({ statusAddress, timeout }: Options) => {
      await waitUntilReady(statusAddress, timeout);
    });
}
