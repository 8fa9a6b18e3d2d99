/**
 * `npm run mutation -- [--files GLOB] [--sample N] [--seed S]`: whether tests notice when the product is changed (docs/testing.md).
 *
 * Changes one place at a time in a copy of the tree and runs the tests that reach it, the nearest first, until one fails. What no test notices is printed as
 * SURVIVED. Exit code 1 where less than `--at-least` per cent (85) of the changes were noticed.
 */
import { globSync, readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join, matchesGlob } from 'node:path';
import { parseArgs } from 'node:util';
import { EQUIVALENT } from './mutation/equivalent.ts';
import { ImportGraph } from './mutation/graph.ts';
import { type Mutant, mutantsOf } from './mutation/mutants.ts';
import { type Reach, Reaches, reaches } from './mutation/reach.ts';
import { runTests } from './mutation/run.ts';
import { numbersFrom, PARTS, shuffled } from './mutation/sample.ts';
import { MutatedTree } from './mutation/tree.ts';
import { TOGETHER } from './together.ts';

const ROOT = join(import.meta.dirname, '..');
/** Tests of a file that are asked: the nearest. */
const NEAREST = 9;
/** Tests of the whole, which take seconds and are asked last, by the folder whose changes they are asked about. */
const FURTHER: Readonly<Record<string, readonly string[]>> = {
  'src/translate/': ['test/golden/golden.test.ts'],
  'src/registry/': ['test/golden/golden.test.ts'],
  'src/simulate/': ['test/calls/simulate.test.ts'],
  'src/http/routes/': ['test/calls/simulate.test.ts'],
  'src/analysis/': ['test/calls/analysis.test.ts'],
};

type Verdict = 'killed' | 'SURVIVED' | 'equivalent';

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '**' },
    sample: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    'at-least': { type: 'string', default: '85' },
  },
});

setPriority(4);
const tree = new MutatedTree(ROOT);
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    tree.close();
    process.exit(130);
  });
const graph = new ImportGraph(tree.root);
const known = new Reaches(tree.root, join(ROOT, 'node_modules/.cache/sallyport-mutation'), tree.state());
const texts = new Map<string, string>();

function textOf(file: string): string {
  const text = texts.get(file) ?? readFileSync(join(ROOT, file), 'utf8');
  texts.set(file, text);
  return text;
}

/** The changes of a part in an order of chance. */
function changesOf(globs: readonly string[], next: () => number): Mutant[] {
  const files = globSync([...globs], { cwd: ROOT })
    .filter(
      (file) =>
        file.endsWith('.ts') && !file.endsWith('.test.ts') && !/(?:^|\/)testing[^/]*\.ts$/.test(file) && matchesGlob(file, values.files),
    )
    .sort();
  return shuffled(
    files.flatMap((file) => mutantsOf(file, tree.source(file))),
    next,
  );
}

const short = (text: string) => {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > 90 ? `${line.slice(0, 89)}…` : line;
};

function described({ file, start, end, replacement }: Mutant) {
  const text = textOf(file);
  const before = text.slice(0, start).split('\n');
  const line = text.split('\n')[before.length - 1]!.trim();
  return {
    line,
    place: `${file}:${before.length}:${before.at(-1)!.length + 1}`,
    change: `${short(text.slice(start, end))} → ${short(replacement)}`,
  };
}

/** What noticed the change, if anything did. The tree is changed. */
async function noticed({ file, start }: Mutant, tests: ReadonlyMap<string, Reach>): Promise<string | undefined> {
  const asked = [...tests].filter(([, reach]) => reach.failure === undefined && reaches(reach, file, start));
  const together = asked.filter(([test]) => matchesGlob(test, TOGETHER));
  const apart = asked.filter(([test]) => !matchesGlob(test, TOGETHER)).map((each) => [each]);
  for (const group of together.length > 0 ? [together, ...apart] : apart) {
    const names = group.map(([test]) => test);
    const args = names.length > 1 ? ['--test', '--test-isolation=none', ...names] : names;
    const timeout = 10_000 + 4 * group.reduce((sum, [, { duration }]) => sum + duration, 0);
    const failure = await runTests(tree.root, args, timeout);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

async function verdictOf(mutant: Mutant): Promise<Verdict | undefined> {
  const { line, place, change } = described(mutant);
  if (EQUIVALENT.some((each) => each.file === mutant.file && each.line === line && each.change === change)) return 'equivalent';
  const unit = graph.testsOf(mutant.file).filter((test) => test.startsWith('src/'));
  const further = Object.keys(FURTHER).filter((folder) => mutant.file.startsWith(folder));
  const names = [...unit.slice(0, NEAREST), ...further.flatMap((folder) => FURTHER[folder]!)];
  const tests = new Map<string, Reach>();
  for (const name of names) tests.set(name, await known.of(name));
  return tree.with(mutant, async (typed) => {
    if (!typed) return undefined;
    const by = await noticed(mutant, tests);
    const verdict = by === undefined ? 'SURVIVED' : 'killed';
    console.log(`${verdict.padEnd(8)} ${place}  ${change}${by === undefined ? '' : `  [${by}]`}`);
    return verdict;
  });
}

const next = numbersFrom(Number(values.seed));
const parts = Object.entries(PARTS)
  .map(([name, globs]) => ({ name, changes: changesOf(globs, next), counts: { killed: 0, SURVIVED: 0, equivalent: 0 } }))
  .filter(({ changes }) => changes.length > 0);
// Each part in turn, so that the small ones are looked at as closely as the large.
let left = Number(values.sample);
while (left > 0 && parts.some(({ changes }) => changes.length > 0))
  for (const { changes, counts } of parts) {
    // What the types refuse is noticed by the lint and counts for nothing here: the next takes its place.
    let verdict: Verdict | undefined;
    while (left > 0 && verdict === undefined && changes.length > 0) verdict = await verdictOf(changes.shift()!);
    if (verdict === undefined) continue;
    counts[verdict]++;
    left--;
  }

const share = (killed: number, survived: number) => `${((100 * killed) / Math.max(1, killed + survived)).toFixed(0)} %`.padStart(6);
let [killed, survived] = [0, 0];
console.log('\npart                     killed  survived  equivalent  share');
for (const { name, counts } of parts) {
  killed += counts.killed;
  survived += counts.SURVIVED;
  const columns = [String(counts.killed).padStart(6), String(counts.SURVIVED).padStart(9), String(counts.equivalent).padStart(11)];
  console.log(`${name.padEnd(24)} ${columns.join(' ')}  ${share(counts.killed, counts.SURVIVED)}`);
}
console.log(
  `${'all'.padEnd(24)} ${String(killed).padStart(6)} ${String(survived).padStart(9)}  ${' '.repeat(11)} ${share(killed, survived)}`,
);
process.exitCode = 100 * killed < Number(values['at-least']) * (killed + survived) ? 1 : 0;
tree.close();
