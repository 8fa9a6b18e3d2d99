/** `sallyport ui`: the console over what was read. */
import { once } from 'node:events';
import { Command } from 'commander';
import type { ReadFilesOptions } from '../inputs/files.ts';
import { isRevision } from '../inputs/revision.ts';
import { SallyportError } from '../lib/errors.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { CONSOLE_PORT, EDIT_OPTION } from './console-options.ts';
import { EXIT } from './exit.ts';
import { addressOption, repeatable } from './options.ts';
import { say } from './say.ts';
import { addReadOptions, readerHost } from './source-options.ts';

interface UiOptions extends ReadFilesOptions {
  readonly configDump: readonly string[];
  readonly console: SocketAddress;
  readonly edit: boolean;
}

export function uiCommand(): Command {
  const command = new Command('ui')
    .summary('the console over files, a revision or config dumps')
    .description(
      'Serves the console for a browser of this machine, over resources that are read once, until interrupted (Ctrl-C). The console of a running mesh is at the address that sallyport up prints.',
    )
    .argument('[path...]', 'files and folders with resources, or git:REV[:PATH] for a revision of this repository')
    .option('--config-dump <file>', "a proxy's config dump, in place of resources (repeatable)", repeatable, [])
    .addOption(addressOption('--console <address:port>', 'where it is served; port 0 for any free one', `127.0.0.1:${CONSOLE_PORT}`))
    .option(...EDIT_OPTION);
  return addReadOptions(command).action(async (paths: string[], options: UiOptions) => {
    const [{ readDumps, readShown }, { startConsole }] = await Promise.all([import('../console/read.ts'), import('../console/server.ts')]);
    demandOne(paths, options);
    const shown =
      options.configDump.length > 0 ? await readDumps(options.configDump) : await readShown(paths, options, readerHost.tell, options.edit);
    const served = await startConsole({ at: options.console, shown, enter: (url) => say(`console: ${url}`) });
    // The console itself keeps nothing running.
    const awake = setInterval(() => undefined, 2 ** 30);
    await Promise.race(['SIGTERM', 'SIGINT'].map((name) => once(process, name)));
    clearInterval(awake);
    await served.close();
    process.exitCode = EXIT.fine;
  });
}

/** Throws `usage`. */
function demandOne(paths: readonly string[], { configDump, edit }: UiOptions): void {
  if (configDump.length > 0 && paths.length > 0)
    throw new SallyportError('usage', 'say what to show: either resources, or config dumps with --config-dump');
  if (edit && (configDump.length > 0 || paths.some(isRevision)))
    throw new SallyportError('usage', '--edit writes to files: a revision or a config dump has none');
  if (configDump.length === 0 && paths.length === 0)
    throw new SallyportError('usage', 'name the files or folders with resources, e.g. sallyport ui examples/egress-http');
  if (paths.length > 1 && paths.some(isRevision)) throw new SallyportError('usage', 'a revision is shown alone: name one, as git:REV:PATH');
}
