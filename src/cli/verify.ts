/** `sallyport verify`: statements about all calls, proved or refuted by a call that shows it. */
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { codeOf, messageOf, SallyportError } from '../lib/errors.ts';
import { originText } from '../lib/origin.ts';
import { describeCall } from '../prove/describe-call.ts';
import { gatewaysOf } from '../prove/inside.ts';
import type { SimulatedFiles } from '../prove/simulated.ts';
import type { AdversaryVerdict } from '../prove/verdict.ts';
import { type Stated, verifyMesh } from '../prove/verify.ts';
import type { Outcome } from '../simulate/trace.ts';
import { writeAnswer } from './answer.ts';
import type { Paint } from './colours.ts';
import { EXIT } from './exit.ts';
import { choiceOption, repeatable } from './options.ts';
import { addReadOptions, answerFrom, type Reader, type ReadMeshOptions } from './read-mesh.ts';
import { expectShortRun } from './short-run.ts';

interface VerifyOptions extends ReadMeshOptions {
  readonly statements?: string;
  readonly clusterCidr: readonly string[];
  readonly maxCells: number;
  readonly adversary: 'captured' | 'bypassing' | 'both';
  readonly output: 'text' | 'json';
}

export function verifyCommand(): Command {
  const command = new Command('verify')
    .summary('prove statements about all calls')
    .description(
      'Proves by default that no workload reaches a host outside the mesh but through an egress gateway; or the statements of a file.',
    )
    .argument('<path...>', 'files and folders with the configuration; - for stdin')
    .option('-s, --statements <file>', 'a YAML list of statements to prove in place of the default')
    .option(
      '--adversary <kind>',
      'captured: applications whose traffic is captured; bypassing: those that go round the sidecar; or both',
      choiceOption('captured', 'bypassing', 'both'),
      'both',
    )
    .option('--cluster-cidr <range>', "the cluster's own addresses (repeatable; by default the private ranges)", repeatable, [])
    .option('--max-cells <n>', 'cells to judge before the rest counts as undecided', cellsOption, 1_000_000);
  return addReadOptions(command)
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text')
    .action(async (paths: string[], options: VerifyOptions) => {
      expectShortRun();
      await answerFrom(async (reader) => {
        const verdicts = await judge(reader, paths, options);
        writeAnswer(verdicts, options.output, (answer, paint) => answer.map((verdict) => render(verdict, paint)).join('\n'));
        return verdicts.every(({ result }) => result === 'proved') ? EXIT.fine : EXIT.findings;
      });
    });
}

function cellsOption(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('it is a whole number from 1 on.');
  return Number(text);
}

async function judge(reader: Reader, paths: readonly string[], options: VerifyOptions): Promise<AdversaryVerdict[]> {
  const { adversary, statements, clusterCidr, maxCells } = options;
  if (statements !== undefined && adversary === 'bypassing') {
    const why = 'statements of a file are about applications whose traffic is captured, and nothing would be proved';
    throw new SallyportError('usage', `${why}: leave out --adversary bypassing, or --statements`);
  }
  const files = await reader.simulated(paths, options);
  const stated = statements === undefined ? undefined : await readStatements(reader, statements, files, options);
  return verifyMesh(files, { adversary, stated, maxCells, ...(clusterCidr.length > 0 && { clusterRanges: clusterCidr }) });
}

/** Reads a file of statements, and the configurations that it names. Rejects with `statements-invalid`, or what reading throws. */
async function readStatements(reader: Reader, path: string, files: SimulatedFiles, options: ReadMeshOptions): Promise<Stated> {
  const text = readText(path);
  const { parseStatements } = await import('../prove/statement-file.ts');
  const { statements, equivalentTo } = parseStatements(text, path, gatewaysOf(files));
  const others = await Promise.all(equivalentTo.map(async (name) => ({ name, files: await reader.side(name, options) })));
  return { statements, equivalentTo: others };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const code = codeOf(cause) === 'ENOENT' ? 'path-not-found' : 'statements-unreadable';
    throw new SallyportError(code, `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

const MOST_SHOWN = 10;

function render({ adversary, statement, result, counterexamples, undecided, openings, cells }: AdversaryVerdict, paint: Paint): string {
  const style = result === 'proved' ? 'green' : result === 'refuted' ? 'red' : 'yellow';
  const lines = [`${paint([style, 'bold'], result.toUpperCase())} (${adversary}, ${cells} cells): ${statement}`];
  for (const { workloads, call, trace } of counterexamples.slice(0, MOST_SHOWN)) {
    const last = trace.hops.at(-1);
    const origin = last?.steps.flatMap(({ origins }) => origins).at(-1);
    const where = outcomeOf(trace.outcome);
    lines.push(
      `  ${workloads.slice(0, 3).join(', ')}${workloads.length > 3 ? ` and ${workloads.length - 3} more` : ''}: ${describeCall(call)} ${where} at ${last?.proxy ?? 'the application'}, cluster ${last?.cluster || 'none'}${origin ? ` [${originText(origin)}]` : ''}`,
    );
  }
  if (counterexamples.length > MOST_SHOWN) lines.push(`  … and ${counterexamples.length - MOST_SHOWN} more (--output json has them all)`);
  for (const opening of openings.slice(0, MOST_SHOWN)) lines.push(`  ${opening}`);
  if (openings.length > MOST_SHOWN) lines.push(`  … and ${openings.length - MOST_SHOWN} more`);
  if (openings.length > 0) lines.push('  sallyport netpol prints the policies that close this.');
  for (const sentence of undecided.slice(0, MOST_SHOWN)) lines.push(`  undecided: ${sentence}`);
  return `${lines.join('\n')}\n`;
}

function outcomeOf(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'upstream':
      return `leaves for ${outcome.host || `${outcome.endpoint?.ip}:${outcome.endpoint?.port}`}`;
    case 'reply':
      return `is answered ${outcome.status}`;
    default:
      return `is ${outcome.kind}`;
  }
}
