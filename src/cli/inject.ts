/** `sallyport inject`: documents in, the same documents with proxies out. */
import { text } from 'node:stream/consumers';
import { Command, Option } from 'commander';
import { wholeMeshConfig } from '../inputs/mesh-config-file.ts';
import { type InjectedFile, injectedFile, injectedJson } from '../kube/injection/documents.ts';
import { readNeededText } from '../lib/regular-file.ts';
import { addInjectionOptions, type InjectedOptions, injectionFrom } from './injection-options.ts';
import { choiceOption, repeatable } from './options.ts';
import { printData, printError } from './print.ts';

interface Options extends InjectedOptions {
  readonly filename: readonly string[];
  readonly output: 'yaml' | 'json';
  readonly meshConfig?: string;
  readonly revision: string;
  readonly injectionOff?: boolean;
}

export function injectCommand(): Command {
  const command = new Command('inject')
    .summary('add proxies to the pods of these files')
    .description(
      'Prints the documents with a proxy in each Pod, and in the templates of Deployments, StatefulSets, DaemonSets, ReplicaSets, ReplicationControllers, Jobs and CronJobs; others as they are. ' +
        'Labels and annotations of pods say what is injected, as with Istio.',
    )
    .addOption(
      new Option('-f, --filename <file>', 'file with documents, more than once if need be; - for stdin')
        .argParser((value: string, all: readonly string[] | undefined) => repeatable(value, all ?? []))
        .makeOptionMandatory(),
    )
    .option('-o, --output <format>', 'of the documents', choiceOption('yaml', 'json'), 'yaml')
    .option('--mesh-config <file>', 'MeshConfig, or the ConfigMap that holds it; without it the defaults')
    .option('--revision <name>', 'of the control plane that the proxies connect to', '')
    .option('--injection-off', 'print the documents as they are');
  return addInjectionOptions(command).action(async (options: Options) => {
    const settings = { ...injectionFrom(options, options.revision), mesh: wholeMeshConfig(options.meshConfig) };
    const files: InjectedFile[] = [];
    for (const file of options.filename) files.push(injectedFile(file, await readText(file), settings, options.injectionOff));
    printError(files.flatMap(({ notes }) => notes.map((note) => `${note}\n`)).join(''));
    if (options.output === 'json') printData(injectedJson(files.flatMap(({ objects }) => objects)));
    else printData(files.map(({ text }) => (text.endsWith('\n') ? text : `${text}\n`)).join('---\n'));
  });
}

async function readText(file: string): Promise<string> {
  return file === '-' ? await text(process.stdin) : readNeededText(file);
}
