/** `sallyport up`: a whole mesh for one machine. */

import { Command } from 'commander';
import type { LocalMesh } from '../control/local/start.ts';
import type { ControlEvent } from '../control/report.ts';
import { SallyportError } from '../lib/errors.ts';
import { prestartWorker } from '../proxy/spare-worker.ts';
import { addConsoleOption, type Beside, type ConsoleAt, consoleBeside } from './console-options.ts';
import { EXIT } from './exit.ts';
import { addMeshOptions, localMeshOptions, type UpOptions } from './mesh-options.ts';
import { print } from './print.ts';
import { readyLines } from './ready.ts';
import { engineHost, say, sayOrEnd } from './say.ts';
import { serve } from './serve.ts';
import { showing } from './shown.ts';

export function upCommand(): Command {
  const command = new Command('up')
    .summary('run the mesh of these files on this machine')
    .description(
      'Runs a sidecar for this machine, a router (gateway) for each Gateway selector, and DNS, on the resources in PATH. ' +
        'Applications use the explicit proxy, e.g. curl -x http://127.0.0.1:15080 http://HOST/. Changes of the files take effect at once.',
    )
    .argument('[path...]', 'files and folders with resources; - for stdin; with --learn there may be none');
  return addConsoleOption(addMeshOptions(command)).action(async (paths: string[], options: UpOptions & { readonly console: ConsoleAt }) => {
    if (paths.length === 0 && options.learn === undefined)
      throw new SallyportError('usage', 'name the files or folders with resources, e.g. sallyport up examples/egress-http');
    // The thread that will carry the traffic loads its modules beside this one.
    if (options.engine === 'embedded') prestartWorker();
    const { startLocalMesh } = await import('../control/local/start.ts');
    let conclude: LocalMesh['conclude'] = () => true;
    const code = await showing('up', options.engine, (flows) =>
      serve(async (ended) => {
        let beside: Beside | undefined;
        const tell = (event: ControlEvent) => {
          sayOrEnd(ended)(event);
          beside?.changed();
        };
        const mesh = await startLocalMesh(paths, localMeshOptions(options), { ...engineHost, flows, tell });
        for (const line of readyLines(options, mesh.control.report)) say(line);
        conclude = mesh.conclude;
        const { control } = mesh;
        beside = consoleBeside(control, { at: options.console, flows, paths, meshConfig: options.meshConfig });
        const console = beside;
        const close = async (graceMs: number) => {
          await Promise.all([console.close(), control.close(graceMs)]);
        };
        return { watch: control.watch, reload: control.reload, reopenLogs: control.reopenLogs, close };
      }, options),
    );
    const kept = conclude(print);
    process.exitCode = code === EXIT.fine && !kept ? EXIT.findings : code;
  });
}
