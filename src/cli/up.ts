/** `sallyport up`: a whole mesh for one machine. */

import { Command } from 'commander';
import type { AuditedOptions } from '../audit/options.ts';
import { type Beside, consoleBeside } from '../console/beside.ts';
import type { Counted } from '../control/contained/counted-flows.ts';
import { readyLines } from '../control/local/ready.ts';
import type { LocalMesh } from '../control/local/start.ts';
import { viaOf } from '../control/local/via.ts';
import type { ControlEvent } from '../control/report.ts';
import { SallyportError } from '../lib/errors.ts';
import { checkWritable } from '../lib/output-file.ts';
import { prestartWorker } from '../proxy/spare-worker.ts';
import { addAuditOptions, auditing } from './audit-options.ts';
import { addConsoleOption, type ConsoleAt } from './console-options.ts';
import { EXIT } from './exit.ts';
import { addMeshOptions, localMeshOptions, type UpOptions } from './mesh-options.ts';
import { failOnOption, WOULD_DENY } from './options.ts';
import { print } from './print.ts';
import { REPORT, writeReport } from './report-file.ts';
import { engineHostFor, say, sayOrEnd, sayUnfollowed } from './say.ts';
import { serve } from './serve.ts';
import { showing } from './shown.ts';

interface ServedOptions extends UpOptions, AuditedOptions {
  readonly report?: string;
  readonly wouldDeny?: boolean;
  readonly failOn: 'never' | 'refused';
  readonly console: ConsoleAt;
  readonly edit: boolean;
}

export function upCommand(): Command {
  const command = new Command('up')
    .summary('run the mesh of these files on this machine')
    .description(
      'Runs a sidecar for this machine, a router (gateway) for each Gateway selector, and DNS, on the resources in PATH. ' +
        'Applications use the explicit proxy, e.g. curl -x http://127.0.0.1:15080 http://HOST/. Changes of the files take effect at once.',
    )
    .argument('[path...]', 'files and folders with resources; - for stdin; with --learn there may be none');
  command
    .option(...REPORT)
    .option(...WOULD_DENY)
    .addOption(failOnOption('nothing else failed'));
  return addConsoleOption(addAuditOptions(addMeshOptions(command))).action(async (paths: string[], options: ServedOptions) => {
    if (paths.length === 0 && options.learn === undefined)
      throw new SallyportError('usage', 'name the files or folders with resources, e.g. sallyport up examples/egress-http');
    // The thread that will carry the traffic loads its modules beside this one.
    if (options.engine === 'embedded') prestartWorker();
    const via = viaOf(options, process.env);
    sayUnfollowed(options);
    const { startLocalMesh } = await import('../control/local/start.ts');
    const counts = options.report !== undefined || options.wouldDeny || options.failOn === 'refused';
    if (options.report !== undefined) checkWritable('--report', options.report);
    const [{ localCallerOf }, { flowCallers }] = await Promise.all([
      import('../control/contained/caller.ts'),
      import('../control/contained/flow-callers.ts'),
    ]);
    let conclude: LocalMesh['conclude'] = () => true;
    let counted: Counted | undefined;
    const code = await showing(
      'up',
      (flows) =>
        auditing(options, options.engine, (audit) =>
          serve(async (ended) => {
            let mesh: LocalMesh | undefined;
            const asked = { ...(await localMeshOptions(options, via)), allowAll: options.wouldDeny ?? false };
            if (counts) {
              const { countFlows } = await import('../control/contained/counted-flows.ts');
              counted = await countFlows(flows, say, { namespace: asked.namespace, registry: () => mesh?.control.report.mesh.registry });
            }
            let beside: Beside | undefined;
            const tell = (event: ControlEvent) => {
              sayOrEnd(ended)(event);
              beside?.changed();
            };
            mesh = await startLocalMesh(paths, asked, { ...engineHostFor(via), flows, audit, tell });
            if (options.wouldDeny) say('letting all calls through (--would-deny)');
            for (const line of readyLines(options, mesh.control.report)) say(line);
            conclude = mesh.conclude;
            const { control } = mesh;
            const { console: at, meshConfig, edit } = options;
            const pages =
              at === 'off' ? undefined : consoleBeside(control, { at, flows, paths, meshConfig, edit, learned: mesh.learned, say });
            beside = pages;
            const close = async (graceMs: number) => {
              await Promise.all([pages?.close(), control.close(graceMs)]);
            };
            return { watch: control.watch, reload: control.reload, reopenLogs: control.reopenLogs, close };
          }, options),
        ),
      flowCallers(localCallerOf, () => performance.now()),
    );
    const kept = conclude(print);
    const refused = counted && (await sayCounted(counted, ['sallyport', 'up', ...paths], options));
    process.exitCode = code === EXIT.fine && (!kept || refused) ? EXIT.findings : code;
  });
}

/** Says what was called. Whether that is to fail. */
async function sayCounted(counted: Counted, words: readonly string[], { failOn, report }: ServedOptions): Promise<boolean> {
  const { refusals, reportText, summaryLines } = await import('../control/contained/report.ts');
  const account = counted.end();
  const refused = failOn === 'refused' ? refusals(account) : undefined;
  const code = refused === undefined ? EXIT.fine : EXIT.findings;
  if (report === undefined) for (const line of summaryLines(account)) say(line);
  else writeReport(report, (format) => reportText({ of: 'up', words, code, ...account }, format));
  if (refused === undefined) return false;
  say(`${refused}: exit code ${EXIT.findings} (--fail-on refused)`);
  return true;
}
