/** `sallyport proxy-status`: what the proxies of a control plane made of what they were sent. */
import { Command } from 'commander';
import { askStreams } from '../control/serving/status-client.ts';
import { nacks, streamsText } from '../control/serving/status-text.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { writeAnswer } from './answer.ts';
import { EXIT } from './exit.ts';
import { addressOption, choiceOption } from './options.ts';

interface Options {
  readonly controller: SocketAddress;
  readonly output: 'text' | 'json';
}

export function proxyStatusCommand(): Command {
  return new Command('proxy-status')
    .alias('ps')
    .summary('which proxies are at the newest configuration, and what they refused')
    .description(
      'Asks a running `sallyport controller` for its streams: SYNCED (acknowledged), STALE (sent, not acknowledged yet), NACK (refused; ' +
        'the last good version stays in force), NOT SENT (not asked for). Ends with 1 where something is refused.',
    )
    .addOption(addressOption('--controller <address:port>', 'status address of the controller', '127.0.0.1:15021'))
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text')
    .action(async ({ controller, output }: Options) => {
      const streams = await askStreams(controller);
      writeAnswer(streams, output, streamsText);
      process.exitCode = nacks(streams).length > 0 ? EXIT.findings : EXIT.fine;
    });
}
