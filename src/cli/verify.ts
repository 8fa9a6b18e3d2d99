/** `sallyport verify`: statements about all calls, proved or refuted by a call that shows it. */

import { Command, InvalidArgumentError } from 'commander';
import type { Reader, SourceOptions } from '../inputs/reader.ts';
import { codeOf, messageOf, SallyportError } from '../lib/errors.ts';
import { few } from '../lib/few.ts';
import type { Finding, Level } from '../lib/finding.ts';
import { originText } from '../lib/origin.ts';
import { readRegularText } from '../lib/regular-file.ts';
import { type CounterexampleGroup, groupedCounterexamples } from '../prove/counterexample-groups.ts';
import { describeCall } from '../prove/describe-call.ts';
import { gatewaysOf } from '../prove/inside.ts';
import type { SimulatedFiles } from '../prove/simulated.ts';
import type { AdversaryVerdict, Opening } from '../prove/verdict.ts';
import { type Stated, verifyMesh } from '../prove/verify.ts';
import { REVIEW_OUTPUTS, type Review, type ReviewOutput, writeReview } from './answer.ts';
import type { Paint } from './colours.ts';
import { EXIT } from './exit.ts';
import { choiceOption, exemptOption, rangesOption } from './options.ts';
import { withProgress } from './progress.ts';
import { expectShortRun } from './short-run.ts';
import { addSourceOptions, answerFrom, demandSource } from './source-options.ts';

interface VerifyOptions extends SourceOptions {
  readonly statements?: string;
  readonly clusterCidr: readonly string[];
  readonly exempt?: readonly string[];
  readonly maxCells: number;
  readonly adversary: 'captured' | 'bypassing' | 'both';
  readonly output: ReviewOutput;
}

export function verifyCommand(): Command {
  const command = new Command('verify')
    .summary('prove statements about all calls')
    .description(
      'Proves by default that no workload reaches a host outside the mesh but through an egress gateway; or the statements of a file.',
    )
    .argument('[path...]', 'files and folders with the configuration; - for stdin')
    .option('-s, --statements <file>', 'a YAML list of statements to prove in place of the default')
    .option(
      '--adversary <kind>',
      'captured: applications whose traffic is captured; bypassing: those that go round the sidecar; or both',
      choiceOption('captured', 'bypassing', 'both'),
      'both',
    )
    .option('--cluster-cidr <range>', "the cluster's own addresses (repeatable; by default the private ranges)", rangesOption, [])
    .addOption(exemptOption('namespace whose workloads without a sidecar are left out of what is proved'))
    .option('--max-cells <n>', 'cells to judge before the rest counts as undecided', cellsOption, 1_000_000);
  return addSourceOptions(command)
    .option('-o, --output <format>', REVIEW_OUTPUTS.join(', '), choiceOption(...REVIEW_OUTPUTS), 'text')
    .action(async (paths: string[], options: VerifyOptions) => {
      demandSource(paths, options, 'files or folders');
      expectShortRun();
      await answerFrom(async (reader) => {
        const verdicts = await judge(reader, paths, options);
        const text = (answer: readonly AdversaryVerdict[], paint: Paint) => answer.map((verdict) => render(verdict, paint)).join('\n');
        writeReview(verdicts, options.output, text, reviewOf);
        return verdicts.every(({ result }) => result === 'proved') ? EXIT.fine : EXIT.findings;
      });
    });
}

function cellsOption(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('it is a whole number from 1 on.');
  return Number(text);
}

async function judge(reader: Reader, paths: readonly string[], options: VerifyOptions): Promise<AdversaryVerdict[]> {
  const { adversary, statements, clusterCidr, exempt, maxCells } = options;
  if (statements !== undefined && adversary === 'bypassing') {
    const why = 'statements of a file are about applications whose traffic is captured, and nothing would be proved';
    throw new SallyportError('usage', `${why}: leave out --adversary bypassing, or --statements`);
  }
  const files = await reader.simulated(paths, options);
  const stated = statements === undefined ? undefined : await readStatements(reader, statements, files, options);
  const ranges = clusterCidr.length > 0 && { clusterRanges: clusterCidr };
  const namespaces = exempt && { exempt };
  return withProgress((tell) => {
    const progress = (cells: number) => tell(() => `${cells} cells judged`);
    return verifyMesh(files, { adversary, stated, maxCells, progress, ...ranges, ...namespaces });
  });
}

/** Reads a file of statements, and the configurations that it names. Rejects with `statements-invalid`, or what reading throws. */
async function readStatements(reader: Reader, path: string, files: SimulatedFiles, options: VerifyOptions): Promise<Stated> {
  const text = readText(path);
  const { parseStatements } = await import('../prove/statement-file.ts');
  const { statements, equivalentTo, egressPolicies } = parseStatements(text, path, gatewaysOf(files));
  const others = await Promise.all(equivalentTo.map(async (name) => ({ name, files: await reader.side(name, options) })));
  return { statements, equivalentTo: others, egressPolicies };
}

function readText(path: string): string {
  try {
    return readRegularText(path);
  } catch (cause) {
    const code = codeOf(cause) === 'ENOENT' ? 'path-not-found' : 'statements-unreadable';
    throw new SallyportError(code, `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

const MOST_SHOWN = 10;

function render(
  { adversary, statement, result, counterexamples, undecided, notes, openings, cells }: AdversaryVerdict,
  paint: Paint,
): string {
  const style = result === 'proved' ? 'green' : result === 'refuted' ? 'red' : 'yellow';
  const lines = [`${paint([style, 'bold'], result.toUpperCase())} (${adversary}, ${cells} cells): ${statement}`];
  const groups = groupedCounterexamples(counterexamples);
  for (const group of groups.slice(0, MOST_SHOWN)) lines.push(`  ${groupText(group)}`, `      e.g. ${describeCall(group.example)}`);
  if (groups.length > MOST_SHOWN) lines.push(`  … and ${groups.length - MOST_SHOWN} more ways (--output json has every call)`);
  for (const opening of openings.slice(0, MOST_SHOWN)) lines.push(`  ${openingText(opening)}`);
  if (openings.length > MOST_SHOWN) lines.push(`  … and ${openings.length - MOST_SHOWN} more`);
  if (openings.some(({ closable }) => closable)) lines.push('  sallyport netpol prints the policies that close this.');
  for (const sentence of undecided.slice(0, MOST_SHOWN)) lines.push(`  undecided: ${sentence}`);
  if (undecided.length > MOST_SHOWN) lines.push(`  … and ${undecided.length - MOST_SHOWN} more that are undecided`);
  for (const note of notes) lines.push(`  note: ${note}`);
  return `${lines.join('\n')}\n`;
}

function openingText({ workloads, how }: Opening): string {
  return `${few(workloads)} ${how}`;
}

function groupText({ workloads, destinations, way, origins }: CounterexampleGroup): string {
  const decided = origins.length > 0 ? ` [${few(origins.map((origin) => originText(origin)))}]` : '';
  return `${few(workloads)}: a call to ${few(destinations, '; ')} ${way}${decided}`;
}

const CODES: Readonly<Record<string, string>> = {
  proved: 'The statement holds for all calls.',
  refuted: 'Calls break the statement.',
  note: 'What whoever reads the answer should know.',
  undecided: 'Whether calls break the statement is not known.',
};

function reviewOf(verdicts: readonly AdversaryVerdict[]): Review {
  const findings = verdicts.flatMap(({ statement, result, counterexamples, openings, undecided, notes }): Finding[] => {
    const origin = { kind: '', namespace: '', name: statement };
    const say = (code: string, level: Level, message: string): Finding => ({ code, level, message, origin });
    const groups = groupedCounterexamples(counterexamples).map((group): Finding => {
      const [decides] = group.origins;
      const text = `${groupText(group)}. For example: ${describeCall(group.example)}`;
      const message = decides ? `${statement}: ${text}` : text;
      const position = decides?.file === undefined ? {} : { position: { file: decides.file, line: decides.line ?? 1, column: 1 } };
      return {
        code: 'refuted',
        level: 'Error',
        message,
        origin: decides ? { kind: decides.kind, namespace: decides.namespace, name: decides.name } : origin,
        ...position,
      };
    });
    return [
      ...(result === 'proved' ? [say('proved', 'Info', 'proved of all calls')] : []),
      ...groups,
      ...openings.map((opening) => say('refuted', 'Error', openingText(opening))),
      ...undecided.map((sentence) => say('undecided', 'Error', sentence)),
      ...notes.map((note) => say('note', 'Warning', note)),
    ];
  });
  return { findings, describe: (code) => ({ name: code, summary: CODES[code] ?? code }) };
}
