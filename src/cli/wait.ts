/** `sallyport wait`: for whoever must not begin before a proxy is ready, as the application beside a classic sidecar. */
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { SallyportError } from '../lib/errors.ts';
import { hostPort, type SocketAddress } from '../lib/socket-address.ts';
import { durationOption, socketOption } from './options.ts';

interface Options {
  readonly statusAddress: SocketAddress;
  readonly timeout: number;
}

/** Between two questions, ms. */
const AGAIN_MS = 200;
const ANSWER_MS = 1000;

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
      const end = performance.now() + timeout;
      for (;;) {
        const why = await notReady(statusAddress);
        if (why === undefined) return;
        if (performance.now() >= end) {
          const { address, port } = statusAddress;
          throw new SallyportError('not-ready', `what is at ${hostPort(address, port)} is not ready after ${timeout / 1000} s: ${why}`);
        }
        await delay(AGAIN_MS);
      }
    });
}

/** Undefined if it is ready, else why not. */
function notReady({ address: host, port }: SocketAddress): Promise<string | undefined> {
  return new Promise((resolve) => {
    const asked = request({ host, port, path: '/healthz/ready', agent: false, timeout: ANSWER_MS }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200 ? undefined : `it answers ${answer.statusCode}`);
    });
    asked.on('timeout', () => asked.destroy(new Error('it does not answer')));
    asked.on('error', ({ message }) => resolve(message));
    asked.end();
  });
}
