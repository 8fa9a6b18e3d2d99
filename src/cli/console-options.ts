/** The console beside a command that runs for long. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ControlPlane } from '../control/from-files.ts';
import type { FlowHub } from '../flows/hub.ts';
import { messageOf } from '../lib/errors.ts';
import { isLoopbackAddress, type SocketAddress } from '../lib/socket-address.ts';
import { socketOption } from './options.ts';
import { say } from './say.ts';

export const CONSOLE_PORT = 15016;

export function addConsoleOption(command: Command): Command {
  return command.addOption(
    new Option('--console <address:port>', 'the console, for a browser of this machine; off for none')
      .argParser(consoleOption)
      .default({ address: '127.0.0.1', port: CONSOLE_PORT }, `127.0.0.1:${CONSOLE_PORT}`),
  );
}

/** Undefined for `off`. */
export function consoleOption(text: string): SocketAddress | undefined {
  if (text === 'off') return undefined;
  const at = socketOption('127.0.0.1')(text);
  // It speaks plain HTTP.
  if (!isLoopbackAddress(at.address)) throw new InvalidArgumentError('the console is for this machine: name a loopback address.');
  return at;
}

export interface BesideOptions {
  readonly at: SocketAddress | undefined;
  readonly flows: FlowHub | undefined;
  readonly paths: readonly string[];
  readonly meshConfig: string | undefined;
}

export interface Beside {
  /** The mesh, or what was found of it, is not what it was. */
  changed(): void;
  close(): Promise<void>;
}

const NONE: Beside = { changed: () => undefined, close: async () => undefined };

/** The console of a mesh that runs. Where it cannot be had, that is said, and the mesh runs all the same. */
export async function consoleBeside(control: Pick<ControlPlane, 'report'>, { at, ...more }: BesideOptions): Promise<Beside> {
  if (!at) return NONE;
  try {
    const [{ liveMesh }, { startConsole }] = await Promise.all([import('../console/live.ts'), import('../console/server.ts')]);
    const mesh = liveMesh({ control, ...more });
    const served = await startConsole({ at, shown: mesh.shown, enter: (url) => say(`console: ${url}`) });
    return {
      changed: () => {
        mesh.changed();
        served.changed();
      },
      close: served.close,
    };
  } catch (error) {
    say(`no console: ${messageOf(error)}`);
    return NONE;
  }
}
