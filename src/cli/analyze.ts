/** `sallyport analyze`: what is wrong with a configuration, before it is applied. */

import { Command, InvalidArgumentError } from 'commander';
import { type AnalyzedOptions, analyzeSource } from '../inputs/analyzed.ts';
import type { Level } from '../lib/finding.ts';
import { atLeast } from '../lib/finding-form.ts';
import { lineReader } from '../lib/line-reader.ts';
import { expectShortRun } from '../lib/short-run.ts';
import { ANALYSIS_OUTPUTS, type AnalysisOutput, analysisText } from '../report/analysis.ts';
import { plain } from '../report/paint.ts';
import { paintFor } from './colours.ts';
import { EXIT } from './exit.ts';
import { choiceOption } from './options.ts';
import { print } from './print.ts';
import { addClusterOptions, demandSource, EMPTY_OPTION, NAMESPACE_OPTION, readerHost } from './source-options.ts';

interface AnalyzeOptions extends AnalyzedOptions {
  readonly failureThreshold: Level;
  readonly all: boolean;
  readonly output: AnalysisOutput;
  readonly color: boolean;
}

export function analyzeCommand(version: () => string): Command {
  const command = new Command('analyze')
    .summary('what is wrong with a configuration, and what mends it')
    .description(
      'Finds what is wrong with a configuration: files, folders, or - for stdin; with --kube a cluster, or one with the files laid over it.',
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
    .option('-o, --output <format>', 'text, json, yaml, sarif or github', choiceOption(...ANALYSIS_OUTPUTS), 'text')
    .option('--no-color', 'plain text, also on a terminal');
  return addClusterOptions(command).action(async (paths: string[], options: AnalyzeOptions) => {
    demandSource(paths, options, 'files or folders');
    expectShortRun();
    const { findings, objects } = await analyzeSource(paths, options, readerHost, Date.now());
    const { output, all, color, failureThreshold } = options;
    const paint = color ? paintFor(process.stdout) : plain;
    print(await analysisText(findings, objects, { output, all, paint, readLine: lineReader(), version: version() }));
    process.exitCode = findings.some(({ level }) => atLeast(level, failureThreshold)) ? EXIT.findings : EXIT.fine;
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
