/** `sallyport run -- CMD`: a command whose traffic goes through the mesh. */

import { getCompileCacheDir } from 'node:module';
import { Command } from 'commander';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { reachProxy, runCommand as runWithProxy } from '../sandbox/command.ts';
import { addMeshOptions, localMeshOptions, type UpOptions } from './mesh-options.ts';
import { printError } from './print.ts';
import { readyLines } from './ready.ts';
import { engineHost, say, sayOrEnd } from './say.ts';
import { reopenLogsOnSignal } from './serve.ts';

/** @param words the command and its arguments: what stands after `--`. */
export function runCommand(words: readonly string[]): Command {
  const command = new Command('run')
    .summary('run a command with its traffic through the mesh: sallyport run [PATH...] -- CMD')
    .description(
      'Runs CMD with HTTP_PROXY, HTTPS_PROXY and ALL_PROXY set to the explicit proxy, and ends with its exit code. ' +
        'With PATH or --learn it starts a mesh for as long as CMD runs; without, it uses the one that `sallyport up` runs. ' +
        'What takes no heed of these variables is not captured.',
    )
    .usage('[options] [path...] -- CMD [argument...]')
    .argument('[path...]', 'files and folders with resources');
  return addMeshOptions(command).action(async (paths: string[], options: UpOptions) => {
    if (words.length === 0) throw new SallyportError('usage', 'say what to run after --, e.g. sallyport run -- curl http://HOST/');
    if (options.proxyAddress.port === 0)
      throw new SallyportError('usage', 'run needs the explicit proxy: --proxy-address must have a port.');
    if (paths.length === 0 && options.learn === undefined) {
      await reachProxy(options.proxyAddress);
      process.exitCode = await runWithProxy(words, options.proxyAddress, environment());
      return;
    }
    const { startLocalMesh } = await import('../control/local/start.ts');
    const { control, conclude } = await startLocalMesh(paths, localMeshOptions(options), {
      ...engineHost,
      tell: sayOrEnd((error) => say(messageOf(error))),
    });
    for (const line of readyLines(options, control.report)) say(line);
    const ignoreSignal = reopenLogsOnSignal(() => control);
    try {
      process.exitCode = await runWithProxy(words, options.proxyAddress, environment());
    } finally {
      await control.close(options.grace);
      ignoreSignal();
      // Standard output is the command's own.
      conclude(printError);
    }
  });
}

function environment(): Readonly<Record<string, string | undefined>> {
  const { NODE_COMPILE_CACHE: cache, ...others } = process.env;
  // Ours, for our threads.
  return cache === getCompileCacheDir() ? others : process.env;
}
