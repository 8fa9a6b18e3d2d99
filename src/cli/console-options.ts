/** The console beside a command that runs for long. */
import { type Command, InvalidArgumentError } from 'commander';
import type { ControlPlane } from '../control/from-files.ts';
import type { FlowHub } from '../flows/hub.ts';
import { messageOf } from '../lib/errors.ts';
import { isLoopbackAddress, type SocketAddress } from '../lib/socket-address.ts';
import { defaulted, socketOption } from './options.ts';
import { say } from './say.ts';

export const CONSOLE_PORT = 15016;

export function addConsoleOption(command: Command): Command {
  return command.addOption(
    defaulted(
      '--console <address:port>',
      'the console, for a browser of this machine; off for none',
      consoleOption,
      `127.0.0.1:${CONSOLE_PORT}`,
    ),
  );
}

export type ConsoleAt = SocketAddress | 'off';

function consoleOption(text: string): ConsoleAt {
  if (text === 'off') return text;
  const at = socketOption('127.0.0.1')(text);
  // It speaks plain HTTP.
  if (!isLoopbackAddress(at.address)) throw new InvalidArgumentError('the console is for this machine: name a loopback address.');
  return at;
}

export interface BesideOptions {
  readonly at: ConsoleAt;
  readonly flows: FlowHub | undefined;
  readonly paths: readonly string[];
  readonly meshConfig: string | undefined;
}

export interface Beside {
  /** The mesh, or what was found of it, is not what it was. */
  changed(): void;
  close(): Promise<void>;
}

/** The console of a mesh that runs. Nothing waits for it, and where it cannot be had, that is said. */
export function consoleBeside(control: Pick<ControlPlane, 'report'>, { at, ...more }: BesideOptions): Beside {
  if (at === 'off') return { changed: () => undefined, close: async () => undefined };
  const opening = opened(control, at, more).catch((error: unknown) => void say(`no console: ${messageOf(error)}`));
  return {
    changed: () => void opening.then((console) => console?.changed()).catch((error: unknown) => say(`console: ${messageOf(error)}`)),
    close: async () => {
      await (await opening)?.close();
    },
  };
}

async function opened(control: Pick<ControlPlane, 'report'>, at: SocketAddress, more: Omit<BesideOptions, 'at'>): Promise<Beside> {
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
}
