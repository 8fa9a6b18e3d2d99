/** What `verify` answers, as text and as findings. */
import { few } from '../lib/few.ts';
import type { Finding, Level } from '../lib/finding.ts';
import { originText } from '../lib/origin.ts';
import { type CounterexampleGroup, groupedCounterexamples } from '../prove/counterexample-groups.ts';
import { describeCall } from '../prove/describe-call.ts';
import type { AdversaryVerdict, Opening } from '../prove/verdict.ts';
import type { Paint } from './paint.ts';
import { describeBy, type Review } from './review.ts';

/** So many ways, openings and undecided sentences of one verdict are written out. */
const MOST_SHOWN = 10;

export function verdictsText(verdicts: readonly AdversaryVerdict[], paint: Paint): string {
  return verdicts.map((verdict) => verdictText(verdict, paint)).join('\n');
}

function verdictText(
  { adversary, statement, result, counterexamples, undecided, notes, openings, cells }: AdversaryVerdict,
  paint: Paint,
): string {
  const style = result === 'proved' ? 'green' : result === 'refuted' ? 'red' : 'yellow';
  const lines = [`${paint([style, 'bold'], result.toUpperCase())} (${adversary}, ${triedText(adversary, cells)}): ${statement}`];
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

/** What the answer rests on: calls that stand for all others, or workloads that were looked at. */
function triedText(adversary: AdversaryVerdict['adversary'], cells: number): string {
  const what = adversary === 'bypassing' ? 'workload' : 'call';
  return `${cells} ${what}${cells === 1 ? '' : 's'} tried`;
}

function openingText({ workloads, how }: Opening): string {
  return `${few(workloads)} ${workloads.length > 1 ? how.replace(/^connects/, 'connect') : how}`;
}

function groupText({ workloads, destinations, way, origins }: CounterexampleGroup): string {
  const decided = origins.length > 0 ? ` [${few(origins.map((origin) => originText(origin)))}]` : '';
  return `${few(workloads)}: a call to ${few(destinations, '; ')} ${way}${decided}`;
}

const CODES = {
  proved: 'The statement holds for all calls.',
  refuted: 'Calls break the statement.',
  note: 'What whoever reads the answer should know.',
  undecided: 'Whether calls break the statement is not known.',
};

/** The same as findings: one for each way in which a statement is broken, at the resource that decides it. */
export function verdictsReview(verdicts: readonly AdversaryVerdict[]): Review {
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
  return { findings, describe: describeBy(CODES) };
}
