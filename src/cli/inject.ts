/** `sallyport inject`: documents in, the same documents with proxies out. */
import { text } from 'node:stream/consumers';
import { Command, Option } from 'commander';
import { type CreateNodeOptions, type DocumentOptions, type ParseOptions, parseDocument, type SchemaOptions, stringify } from 'yaml';
import type { MeshConfig } from '../api/index.ts';
import { decodeMeshConfig, defaultMeshConfig } from '../api/mesh-config-document.ts';
import { splitDocuments } from '../api/yaml/documents.ts';
import type { InjectionOptions } from '../kube/injection/settings.ts';
import { type InjectedObject, injectObject } from '../kube/injection/workloads.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { formatPosition } from '../lib/finding.ts';
import { readRegularText } from '../lib/regular-file.ts';
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

/** As the API server reads it (`0644` is octal, `yes` is true), but that `10:20` is no number of minutes and a date no moment. */
const READ: ParseOptions & DocumentOptions & SchemaOptions = {
  version: '1.1',
  customTags: (tags) => tags.filter((tag) => typeof tag === 'string' || (tag.format !== 'TIME' && !tag.tag.endsWith(':timestamp'))),
};

/** Quotes what readers of either version of YAML would take for something else than a string. */
const WRITTEN: DocumentOptions & SchemaOptions & CreateNodeOptions = {
  version: '1.1',
  aliasDuplicateObjects: false,
  customTags: (tags) => [
    ...tags,
    { tag: 'tag:yaml.org,2002:int', default: true, test: /^[-+]?0o[0-7_]+$/, resolve: (text: string) => text },
  ],
};

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
    .addOption(new Option('-o, --output <format>', 'of the documents').argParser(choiceOption('yaml', 'json')).default('yaml'))
    .option('--mesh-config <file>', 'MeshConfig, or the ConfigMap that holds it; without it the defaults')
    .option('--revision <name>', 'of the control plane that the proxies connect to', '')
    .option('--injection-off', 'print the documents as they are');
  return addInjectionOptions(command).action(async (options: Options) => {
    const settings = { ...injectionFrom(options, options.revision), mesh: meshFrom(options.meshConfig) };
    const files: Injected[] = [];
    for (const file of options.filename) files.push(injectedFile(file, await readText(file), settings, options.injectionOff ?? false));
    if (options.output === 'json') printData(jsonOf(files.flatMap(({ objects }) => objects)));
    else printData(files.map(({ text }) => (text.endsWith('\n') ? text : `${text}\n`)).join('---\n'));
  });
}

/** What does not decode would hold by its default: of a MeshConfig that is broken nothing is taken. */
function meshFrom(file: string | undefined): MeshConfig {
  if (file === undefined) return defaultMeshConfig();
  const { config, findings, empty } = decodeMeshConfig(readFile(file), file);
  const error = findings.find(({ level }) => level === 'Error');
  if (error) {
    const where = error.position ? formatPosition(error.position) : file;
    throw new SallyportError('mesh-config-unreadable', `${where}: ${error.message}`);
  }
  if (empty) throw new SallyportError('mesh-config-unreadable', `${file} holds no MeshConfig: name the file that does`);
  return config;
}

interface Injected {
  /** The file, with nothing but the changed documents written anew. */
  readonly text: string;
  readonly objects: readonly unknown[];
}

function injectedFile(file: string, text: string, options: InjectionOptions, off: boolean): Injected {
  const objects: unknown[] = [];
  let result = '';
  let written = 0;
  for (const [index, chunk] of splitDocuments(text).entries()) {
    const { object, changed, notes } = injectedDocument(`${file}, document ${index + 1}`, chunk.text, options, off);
    for (const note of notes) printError(`${note}\n`);
    objects.push(object);
    if (!changed) continue;
    result += text.slice(written, chunk.start) + (chunk.start > 0 ? '\n' : '') + stringify(object, WRITTEN);
    written = chunk.start + chunk.text.length;
  }
  return { text: result + text.slice(written), objects };
}

function injectedDocument(where: string, text: string, options: InjectionOptions, off: boolean): InjectedObject {
  const document = parseDocument(text, READ);
  const problem = document.errors[0];
  if (problem) throw new SallyportError('injection-invalid', `${where}: ${problem.message.split('\n')[0]}`);
  const object: unknown = document.toJS();
  if (off) return { object, changed: false, notes: [] };
  try {
    return injectObject(object, options, () => undefined);
  } catch (error) {
    if (!(error instanceof SallyportError)) throw error;
    throw new SallyportError(error.code, `${where}: ${error.message}`, { cause: error });
  }
}

function jsonOf(objects: readonly unknown[]): string {
  const whole = objects.length === 1 ? objects[0] : { apiVersion: 'v1', kind: 'List', items: objects };
  return `${JSON.stringify(whole, undefined, 2)}\n`;
}

async function readText(file: string): Promise<string> {
  if (file === '-') return await text(process.stdin);
  return readFile(file);
}

function readFile(file: string): string {
  try {
    return readRegularText(file);
  } catch (cause) {
    throw new SallyportError('file-unreadable', `${file} cannot be read: ${messageOf(cause)}`, { cause });
  }
}
