/** `sallyport wait`: for whoever must not begin before a proxy is ready, as the application beside a classic sidecar. */
import { Command } from 'commander';
import { waitUntilReady } from '../lib/readiness.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { addressOption, defaulted, durationOption } from './options.ts';

interface Options {
  readonly statusAddress: SocketAddress;
  readonly timeout: number;
}

export function waitCommand(): Command {
  return new Command('wait')
    .summary('wait until the proxy is ready')
    .description('Ends when the proxy or control plane at the status address is ready.')
    .addOption(addressOption('--status-address <address:port>', 'of the proxy', '127.0.0.1:15021'))
    .addOption(defaulted('--timeout <duration>', 'after which it fails', durationOption, '1m'))
    .action(async ({ statusAddress, timeout }: Options) => {
      await waitUntilReady(statusAddress, timeout);
    });
}
