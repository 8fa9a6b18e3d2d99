/** `sallyport migrate check`: what of a mesh of Istio's is not served here. */
import { Command } from 'commander';
import { analyzeFiles } from '../analysis/files.ts';
import { unservedIn } from '../analysis/migration.ts';
import { readMeshConfig } from '../inputs/files.ts';
import { readSource, type SourceOptions } from '../inputs/reader.ts';
import { expectShortRun } from '../lib/short-run.ts';
import { migrationText } from '../report/migration.ts';
import { EXIT } from './exit.ts';
import { choiceOption } from './options.ts';
import { print } from './print.ts';
import { addSourceOptions, demandSource, readerHost } from './source-options.ts';

interface Options extends SourceOptions {
  readonly output: 'text' | 'json';
}

export function migrateCommand(): Command {
  const check = new Command('check')
    .summary('what a mesh of Istio’s uses that is not served here')
    .description(
      'Lists, object by object, what of a configuration is not served here and what becomes of it: EnvoyFilters, Wasm, ambient mode, fields, annotations, other clusters. ' +
        'What is listed by nothing is served; analyze says what is wrong with it. Ends with 1 where there is anything.',
    )
    .argument('[path...]', 'files and folders; - for stdin; with --kube a cluster')
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text');
  addSourceOptions(check).action(async (paths: string[], options: Options) => {
    demandSource(paths, options, 'files or folders');
    expectShortRun();
    const snapshot = await readSource(paths, options, readerHost);
    const { config: mesh, findings } = readMeshConfig(snapshot, options);
    const found = analyzeFiles({ snapshot, mesh, defaultGateways: true, now: Date.now() }, { also: findings });
    const unserved = unservedIn(snapshot, found);
    print(options.output === 'json' ? `${JSON.stringify(unserved, undefined, 2)}\n` : migrationText(unserved, snapshot.all().length));
    process.exitCode = unserved.length > 0 ? EXIT.findings : EXIT.fine;
  });
  return new Command('migrate').summary('changing over from Istio').description('Help with changing over from Istio.').addCommand(check);
}
