/** `sallyport proxy-status`: what the proxies of a control plane made of what they were sent. */
import { Command, Option } from 'commander';
import type { StreamJson } from '../control/serving/status.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { hostPort, type SocketAddress } from '../lib/socket-address.ts';
import { tableText } from '../report/table.ts';
import { EXIT } from './exit.ts';
import { choiceOption, socketOption } from './options.ts';
import { print } from './print.ts';

interface Options {
  readonly controller: SocketAddress;
  readonly output: 'text' | 'json';
}

const TYPES = ['CDS', 'EDS', 'LDS', 'RDS', 'SDS', 'NDS'];

export function proxyStatusCommand(): Command {
  return new Command('proxy-status')
    .alias('ps')
    .summary('which proxies are at the newest configuration, and what they refused')
    .description(
      'Asks a running `sallyport controller` for its streams: SYNCED (acknowledged), STALE (sent, not acknowledged yet), NACK (refused; ' +
        'the last good version stays in force), NOT SENT (not asked for). Ends with 1 where something is refused.',
    )
    .addOption(
      new Option('--controller <address:port>', 'status address of the controller')
        .argParser(socketOption('127.0.0.1'))
        .default({ address: '127.0.0.1', port: 15021 }, '127.0.0.1:15021'),
    )
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text')
    .action(async ({ controller, output }: Options) => {
      const streams = await ask(controller);
      print(output === 'json' ? `${JSON.stringify(streams, undefined, 2)}\n` : textOf(streams));
      process.exitCode = nacks(streams).length > 0 ? EXIT.findings : EXIT.fine;
    });
}

async function ask({ address, port }: SocketAddress): Promise<readonly StreamJson[]> {
  const url = `http://${hostPort(address, port)}/status`;
  let status: { readonly streams?: readonly StreamJson[] };
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) });
    if (!answer.ok) throw new Error(`it answered ${answer.status}`);
    status = (await answer.json()) as typeof status;
  } catch (error) {
    const reason = messageOf(error instanceof Error && error.cause ? error.cause : error);
    throw new SallyportError(
      'controller-unreachable',
      `no controller answers at ${url}: ${reason}. Give its status address with --controller.`,
      {
        cause: error,
      },
    );
  }
  if (!status.streams)
    throw new SallyportError('controller-unreachable', `what answers at ${url} serves no proxies: it is no sallyport controller.`);
  return status.streams;
}

function textOf(streams: readonly StreamJson[]): string {
  const rows = streams.map(({ proxy, type, peer, protocol, proven, xds }) => [
    proxy,
    type,
    ...TYPES.map((name) => xds[name]?.state ?? 'NOT SENT'),
    protocol === 'delta' ? 'incremental' : 'state of the world',
    `${peer}${proven ? ' (proven)' : ''}`,
  ]);
  const table = tableText({ columns: ['PROXY', 'TYPE', ...TYPES, 'PROTOCOL', 'CLIENT'], rows, empty: 'No proxy is connected.' });
  const refused = nacks(streams).map(({ proxy, type, message }) => `${proxy}: ${type} refused: ${message.trimEnd()}\n`);
  return refused.length > 0 ? `${table}\n${refused.join('')}` : table;
}

function nacks(streams: readonly StreamJson[]) {
  return streams.flatMap(({ proxy, xds }) =>
    Object.entries(xds).flatMap(([type, { state, message = '' }]) => (state === 'NACK' ? [{ proxy, type, message }] : [])),
  );
}
