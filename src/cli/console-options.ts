/** The console beside a command that runs for long. */
import { type Command, InvalidArgumentError } from 'commander';
import { isLoopbackAddress, type SocketAddress } from '../lib/socket-address.ts';
import { defaulted, socketOption } from './options.ts';

export const CONSOLE_PORT = 15016;

export const EDIT_OPTION = ['--edit', 'let the console write mends of findings to the files', false] as const;

export function addConsoleOption(command: Command): Command {
  return command
    .addOption(
      defaulted(
        '--console <address:port>',
        'the console, for a browser of this machine; off for none',
        consoleOption,
        `127.0.0.1:${CONSOLE_PORT}`,
      ),
    )
    .option(...EDIT_OPTION);
}

export type ConsoleAt = SocketAddress | 'off';

function consoleOption(text: string): ConsoleAt {
  if (text === 'off') return text;
  const at = socketOption('127.0.0.1')(text);
  // It speaks plain HTTP.
  if (!isLoopbackAddress(at.address)) throw new InvalidArgumentError('the console is for this machine: name a loopback address.');
  return at;
}
