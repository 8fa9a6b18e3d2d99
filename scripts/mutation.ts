/**
 * `npm run mutation -- [--files GLOB] [--sample N] [--seed S] [--record FILE]`: whether tests notice when the product is changed (docs/testing.md).
 *
 * Changes one place at a time in a copy of the tree and runs the tests that reach it, the nearest first, until one fails. What no test notices is printed as
 * SURVIVED. Exit code 1 where less than `--at-least` per cent (85) of the changes were noticed. What a run with the same record has found noticed is not asked
 * again. With `--again` only what it has found unnoticed is, and of more tests, those that take long too.
 */
import { globSync, readFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { join, matchesGlob, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { EQUIVALENT, type Equivalent } from './mutation/equivalent.ts';
import { ImportGraph } from './mutation/graph.ts';
import { type Mutant, mutantsOf } from './mutation/mutants.ts';
import { Reaches, reaches } from './mutation/reach.ts';
import { type Described, described, Record as KeptRecord, type Verdict } from './mutation/record.ts';
import { Residents } from './mutation/residents.ts';
import { CACHE, isLate, runTests } from './mutation/run.ts';
import { PARTS, shuffled } from './mutation/sample.ts';
import { MutatedTree } from './mutation/tree.ts';
import { TOGETHER } from './together.ts';

const ROOT = join(import.meta.dirname, '..');
const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '**' },
    sample: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    record: { type: 'string' },
    again: { type: 'boolean', default: false },
    'at-least': { type: 'string', default: '85' },
  },
});

/** Tests of a file that are asked: so many of the nearest, and all in its own folder of `src` that run in the process that stays. */
const NEAREST = values.again ? 16 : 6;
/** Tests of generated configurations, which take as long as all others of their folder: asked after those. */
const LAST = new Set(['src/translate/phase.test.ts', 'src/translate/classes.test.ts', 'src/simulate/sample.test.ts']);
/** Of all tests that are asked in the process that stays, ms, where it isn't known how long they take: what hangs has noticed. */
const TIMEOUT_MS = 120_000;
/** Tests of the whole, which take seconds and are asked last, by the folder whose changes they are asked about. */
const FURTHER: Readonly<Record<string, readonly string[]>> = {
  'src/http/filters/rbac': ['test/integration/envoy-rbac.test.ts'],
  'src/http/filters/jwt': ['test/integration/envoy-jwt.test.ts'],
  'src/http/filters/ext': ['test/integration/envoy-ext-authz.test.ts'],
  'src/http/rbac/': ['test/integration/envoy-rbac.test.ts'],
  'src/http/jwt/': ['test/integration/envoy-jwt.test.ts'],
  'src/http/ext-authz/': ['test/integration/envoy-ext-authz.test.ts'],
  'src/http/tracing/': ['test/integration/envoy-tracing.test.ts'],
  'src/proxy/listener/': [
    'test/integration/dataplane/explicit-proxy.test.ts',
    'test/integration/dataplane/original-dst.test.ts',
    'test/integration/dataplane/tls.test.ts',
  ],
  'src/proxy/http/': ['test/attacks/upgrade.test.ts'],
  'src/translate/': ['test/golden/golden.test.ts'],
  'src/registry/': ['test/golden/golden.test.ts'],
};

// Whoever asked for less than this has it.
setPriority(Math.max(4, getPriority()));
const tree = new MutatedTree(ROOT);
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    residents.close();
    tree.close();
    process.exit(130);
  });
const graph = new ImportGraph(tree.root);
const known = new Reaches(tree.root, CACHE, tree.state());
const residents = new Residents(tree.root);
const record = new KeptRecord(values.record);
const sound = new Map<string, boolean>();
const texts = new Map<string, string>();
/** How long the tests took, ms, by their names, when none failed. */
const durations = new Map<string, number>();

function textOf(file: string): string {
  const text = texts.get(file) ?? readFileSync(join(ROOT, file), 'utf8');
  texts.set(file, text);
  return text;
}

interface Change extends Described {
  readonly mutant: Mutant;
}

/** The changes of a part in an order of chance. */
function changesOf(globs: readonly string[]): Change[] {
  const files = globSync([...globs], { cwd: ROOT })
    .filter(
      (file) =>
        file.endsWith('.ts') && !file.endsWith('.test.ts') && !/(?:^|\/)testing[^/]*\.ts$/.test(file) && matchesGlob(file, values.files),
    )
    .sort();
  const changes = files.flatMap((file) =>
    mutantsOf(file, tree.source(file)).map((mutant) => ({ mutant, ...described(mutant, textOf(file)) })),
  );
  const asked = values.again ? changes.filter(({ key }) => record.of(key) !== undefined) : changes;
  return shuffled(asked, values.seed, ({ key }) => key);
}

/** Whether the test is one of those that pass, as they do, in the process that stays. */
async function isSound(test: string): Promise<boolean> {
  const known = sound.get(test) ?? (await residents.ask({ tests: [join(tree.root, test)] }, TIMEOUT_MS)).failure === undefined;
  sound.set(test, known);
  return known;
}

/** What of the tests of pure folders noticed the change, if anything did. */
async function noticedWithin({ file, start, end, replacement }: Mutant, tests: readonly string[]): Promise<string | undefined> {
  const asked = tests.filter((test) => sound.get(test) !== false);
  if (asked.length === 0) return undefined;
  const text = textOf(file);
  const question = {
    file: join(tree.root, file),
    text: text.slice(0, start) + replacement + text.slice(end),
    tests: asked.map((test) => join(tree.root, test)),
  };
  const names = asked.join();
  const took = durations.get(names);
  const started = performance.now();
  const { test, failure } = await residents.ask(question, took === undefined ? TIMEOUT_MS : Math.min(TIMEOUT_MS, 10_000 + 2 * took));
  if (failure === undefined) durations.set(names, Math.max(took ?? 0, performance.now() - started));
  if (test === undefined) return failure;
  // Not all that fails fails for the change.
  return (await isSound(relative(tree.root, test))) ? failure : noticedWithin({ file, start, end, replacement }, tests);
}

/** The same of tests that have a process each. What one of them reaches is found before the tree is changed. */
async function noticedApart(mutant: Mutant, tests: readonly string[]): Promise<string | undefined> {
  for (const test of tests) {
    const reach = await known.of(test);
    if (reach.failure !== undefined || !reaches(reach, mutant.file, mutant.start)) continue;
    const failure = await tree.with(mutant, () => runTests(tree.root, [test], 10_000 + 4 * reach.duration));
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/** Whether tests of pure folders are late without a change too. */
async function isSlow(tests: readonly string[]): Promise<boolean> {
  const asked = tests.filter((test) => sound.get(test) !== false).map((test) => join(tree.root, test));
  return isLate((await residents.ask({ tests: asked }, TIMEOUT_MS)).failure);
}

/** The tests that are asked about a file, in their order. */
function askedAbout(file: string): string[] {
  const own = file.split('/').slice(0, 2).join('/');
  const unit = graph.testsOf(file).filter((test) => test.startsWith('src/'));
  const asked = unit.filter((test, index) => index < NEAREST || (isPure(test) && test.startsWith(`${own}/`)));
  const quick = asked.filter((test) => !LAST.has(test));
  if (values.record !== undefined && !values.again) return quick;
  const further = Object.keys(FURTHER).filter((folder) => file.startsWith(folder));
  return [...quick, ...asked.filter((test) => LAST.has(test)), ...further.flatMap((folder) => FURTHER[folder]!)];
}

const isPure = (test: string) => matchesGlob(test, TOGETHER) || test.startsWith('test/golden/');

async function verdictOf({ mutant, place, change }: Change): Promise<Verdict> {
  if (!(await tree.with(mutant, async (typed) => typed))) return 'refused';
  const names = askedAbout(mutant.file);
  const pure = names.filter(isPure);
  const apart = names.filter((name) => !isPure(name));
  const by = (await noticedWithin(mutant, pure)) ?? (await noticedApart(mutant, apart));
  const verdict = by === undefined ? 'SURVIVED' : isLate(by) && (await isSlow(pure)) ? 'late' : 'killed';
  console.log(`${verdict.padEnd(8)} ${place}  ${change}${by === undefined ? '' : `  [${by}]`}`);
  return verdict;
}

/** The same of one that this run or an earlier one has a verdict on. */
async function knownVerdictOf(change: Change): Promise<Verdict> {
  const { file } = change.mutant;
  const isSame = (each: Equivalent) =>
    each.file === file && each.line === change.line && each.change === change.change && (each.column ?? change.column) === change.column;
  if (EQUIVALENT.some(isSame)) return 'equivalent';
  const found = record.of(change.key);
  if (found === 'killed' || found === 'refused' || (found === 'SURVIVED' && !values.again)) return found;
  const verdict = await verdictOf(change);
  record.add(change.key, verdict);
  return verdict;
}

const parts = Object.entries(PARTS)
  .map(([name, globs]) => ({ name, changes: changesOf(globs), counts: { killed: 0, SURVIVED: 0, equivalent: 0, late: 0 } }))
  .filter(({ changes }) => changes.length > 0);
// Each part in turn, so that the small ones are looked at as closely as the large.
let left = Number(values.sample);
while (left > 0 && parts.some(({ changes }) => changes.length > 0))
  for (const { changes, counts } of parts) {
    // What the types refuse is noticed by the lint and counts for nothing here: the next takes its place.
    let verdict: Verdict = 'refused';
    while (left > 0 && verdict === 'refused' && changes.length > 0) verdict = await knownVerdictOf(changes.shift()!);
    if (verdict === 'refused') continue;
    counts[verdict]++;
    left--;
  }

const share = (killed: number, survived: number) => `${((100 * killed) / Math.max(1, killed + survived)).toFixed(0)} %`.padStart(6);
let [killed, survived] = [0, 0];
console.log('\npart                     killed  survived  equivalent  late  share');
for (const { name, counts } of parts) {
  killed += counts.killed;
  survived += counts.SURVIVED;
  const columns = [
    String(counts.killed).padStart(6),
    String(counts.SURVIVED).padStart(9),
    String(counts.equivalent).padStart(11),
    String(counts.late).padStart(5),
  ];
  console.log(`${name.padEnd(24)} ${columns.join(' ')}  ${share(counts.killed, counts.SURVIVED)}`);
}
console.log(
  `${'all'.padEnd(24)} ${String(killed).padStart(6)} ${String(survived).padStart(9)}  ${' '.repeat(17)} ${share(killed, survived)}`,
);
process.exitCode = 100 * killed < Number(values['at-least']) * (killed + survived) ? 1 : 0;
residents.close();
tree.close();
