/** `sallyport verify`: statements about all calls, proved or refuted by a call that shows it. */

import { Command, InvalidArgumentError } from 'commander';
import type { Reader, SourceOptions } from '../inputs/reader.ts';
import { readStatements } from '../inputs/statements.ts';
import { SallyportError } from '../lib/errors.ts';
import { expectShortRun } from '../lib/short-run.ts';
import type { AdversaryVerdict } from '../prove/verdict.ts';
import { verifyMesh } from '../prove/verify.ts';
import { REVIEW_OUTPUTS, type ReviewOutput } from '../report/review.ts';
import { verdictsReview, verdictsText } from '../report/verdicts.ts';
import { writeReview } from './answer.ts';
import { EXIT } from './exit.ts';
import { choiceOption, exemptOption, rangesOption } from './options.ts';
import { withProgress } from './progress.ts';
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
        writeReview(verdicts, options.output, verdictsText, verdictsReview);
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
