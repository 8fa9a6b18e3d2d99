/** `sallyport analyze`: what is wrong with a configuration, before it is applied. */

import { Command, InvalidArgumentError } from 'commander';
import { analyzeFiles } from '../analysis/files.ts';
import { MESSAGES } from '../analysis/messages.ts';
import { DECODING_CODES } from '../api/codes.ts';
import { loadMeshNetworks } from '../config/mesh-networks.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { readFiles, readMeshConfig } from '../inputs/files.ts';
import { readSource, type SourceOptions } from '../inputs/reader.ts';
import type { Finding, Level } from '../lib/finding.ts';
import { sortFindings } from '../lib/finding-form.ts';
import { paintFor, plain } from './colours.ts';
import { EXIT } from './exit.ts';
import { githubCommands, sarif } from './finding-formats.ts';
import { type Output, printFindings } from './findings.ts';
import { choiceOption } from './options.ts';
import { print } from './print.ts';
import { expectShortRun } from './short-run.ts';
import { addClusterOptions, demandSource, EMPTY_OPTION, NAMESPACE_OPTION, readerHost } from './source-options.ts';

type AnalyzeOutput = Output | 'sarif' | 'github';

interface AnalyzeOptions extends SourceOptions {
  readonly meshNetworks?: string;
  readonly remoteCluster: ReadonlyMap<string, readonly string[]>;
  readonly defaultGateways: boolean;
  readonly suppress: readonly string[];
  readonly failureThreshold: Level;
  readonly hints: boolean;
  readonly all: boolean;
  readonly output: AnalyzeOutput;
  readonly color: boolean;
}

/** So many findings of one code are shown in full. */
const MOST_OF_A_CODE = 10;

const SEVERITY: Readonly<Record<Level, number>> = { Info: 0, Warning: 1, Error: 2 };

export function analyzeCommand(version: () => string): Command {
  const command = new Command('analyze')
    .description(
      'Find what is wrong with a configuration: files, folders, or - for stdin; with --kube a cluster, or one with the files laid over it.',
    )
    .argument('[path...]')
    .option(...NAMESPACE_OPTION)
    .option(...EMPTY_OPTION)
    .option('--mesh-config <file>', 'MeshConfig (else the ConfigMap istio among the files, else the defaults)')
    .option('--mesh-networks <file>', 'MeshNetworks (else the key meshNetworks of that ConfigMap)')
    .option(
      '--remote-cluster <name=path>',
      'objects of another cluster of the mesh, whose Services are held against these (repeatable; one name may have several paths)',
      remoteClusterOption,
      new Map(),
    )
    .option('--no-default-gateways', "do not take an installation's gateways to exist where the files leave them out")
    .option('-S, --suppress <code=origin>', "leave out findings, e.g. 'IST0128=DestinationRule default/*' (repeatable)", suppressOption, [])
    .option(
      '--failure-threshold <level>',
      'Info, Warning or Error: from which level on the exit code is 1',
      choiceOption('Info', 'Warning', 'Error'),
      'Error',
    )
    .option('--hints', 'report what is right but could be narrower or encrypted', false)
    .option('--all', 'text: every finding in full, also where many say the same', false)
    .option('-o, --output <format>', 'text, json, yaml, sarif or github', choiceOption('text', 'json', 'yaml', 'sarif', 'github'), 'text')
    .option('--no-color', 'plain text, also on a terminal');
  return addClusterOptions(command).action(async (paths: string[], options: AnalyzeOptions) => {
    demandSource(paths, options, 'files or folders');
    expectShortRun();
    const { findings, objects } = await analyzed(paths, options);
    print(await formatted(findings, objects, options, version));
    const failed = findings.some((finding) => SEVERITY[finding.level] >= SEVERITY[options.failureThreshold]);
    process.exitCode = failed ? EXIT.findings : EXIT.fine;
  });
}

function suppressOption(value: string, all: readonly string[]): string[] {
  if (!/^[^=]+=./.test(value)) throw new InvalidArgumentError("it is CODE=ORIGIN; both may hold *, e.g. 'SP1001=*'.");
  return [...all, value];
}

function remoteClusterOption(value: string, all: ReadonlyMap<string, readonly string[]>): Map<string, readonly string[]> {
  const match = /^([^=]+)=(.+)$/.exec(value);
  if (!match) throw new InvalidArgumentError('it is NAME=PATH, e.g. west=clusters/west/.');
  const [, name, path] = match as unknown as [string, string, string];
  return new Map([...all, [name, [...(all.get(name) ?? []), path]]]);
}

/** What is wrong, and how many objects were read. */
async function analyzed(paths: readonly string[], options: AnalyzeOptions): Promise<{ findings: readonly Finding[]; objects: number }> {
  const snapshot = await readSource(paths, options, readerHost);
  const { config: mesh, findings } = readMeshConfig(snapshot, options);
  const { networks: meshNetworks, findings: networkFindings } = loadMeshNetworks(snapshot, options.meshNetworks);
  const remoteClusters = new Map<string, Snapshot>();
  for (const [name, remotePaths] of options.remoteCluster) remoteClusters.set(name, await readFiles(remotePaths, options, readerHost.tell));
  const { suppress, hints, defaultGateways } = options;
  const found = analyzeFiles(
    { snapshot, mesh, meshNetworks, remoteClusters, defaultGateways, now: Date.now() },
    { suppress, hints, also: [...findings, ...networkFindings] },
  );
  return { findings: sortFindings(found), objects: snapshot.all().filter(({ derivedFrom }) => !derivedFrom).length };
}

async function formatted(
  findings: readonly Finding[],
  objects: number,
  { output, color, all }: AnalyzeOptions,
  version: () => string,
): Promise<string> {
  if (output === 'sarif') return sarif(findings, version(), describe);
  if (output === 'github') return githubCommands(findings);
  const paint = color ? paintFor(process.stdout) : plain;
  const text = await printFindings(findings, { output, paint, ...(!all && { brief: { most: MOST_OF_A_CODE, all: '--all shows them' } }) });
  if (output !== 'text') return text;
  const read = `${objects} ${objects === 1 ? 'object' : 'objects'} read`;
  if (findings.length === 0) return `No findings: ${read}.\n`;
  const count = (level: Level) => findings.filter((finding) => finding.level === level).length;
  return `${text}\n${count('Error')} errors, ${count('Warning')} warnings, ${count('Info')} notes: ${read}\n`;
}

function describe(code: string): { name: string; summary: string } | undefined {
  return { ...DECODING_CODES, ...MESSAGES }[code as keyof typeof MESSAGES];
}
