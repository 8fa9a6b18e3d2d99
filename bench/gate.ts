/**
 * `npm run bench -- gate [--only http,tls,http2,tcp,body] [--rounds 3] [--seconds 3] [--repeats 3]`: fails where this tree costs more than the build on record.
 *
 * Both take turns in one run, since a machine's speed changes by the hour: a figure of another day would say nothing. A scenario fails whose CPU time, beside that
 * of the build on record, is more than a tenth higher in every round. `--record` puts the commit that is checked out on record (`bench/recorded.json`).
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './lib/proxies.ts';
import type { Summary } from './lib/report.ts';

const RECORD = join(ROOT, 'bench/recorded.json');
/** So many times the cost on record are too much. */
const MOST = 1.1;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'http,tls,http2,tcp,body' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    repeats: { type: 'string', default: '3' },
    record: { type: 'boolean', default: false },
  },
});

process.exitCode = values.record ? record() : await gate();

function git(...args: string[]): string {
  return execFileSync('git', ['-C', ROOT, ...args], { encoding: 'utf8' }).trim();
}

function record(): number {
  if (git('status', '--porcelain') !== '') {
    console.error('gate: a commit goes on record: commit or stash what is changed');
    return 2;
  }
  const commit = git('rev-parse', 'HEAD');
  writeFileSync(RECORD, `${JSON.stringify({ commit }, undefined, 2)}\n`);
  console.log(`on record: ${commit}`);
  return 0;
}

async function gate(): Promise<number> {
  const { commit } = JSON.parse(readFileSync(RECORD, 'utf8')) as { commit: string };
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-gate-'));
  const before = join(folder, 'before');
  git('worktree', 'add', '--quiet', '--detach', before, commit);
  try {
    makeBuildable(before);
    const rounds: ReadonlyMap<string, number>[] = [];
    for (let i = 1; i <= Number(values.rounds); i += 1) rounds.push(await ratios(before, join(folder, `round-${i}.json`)));
    return judge(rounds, commit);
  } finally {
    git('worktree', 'remove', '--force', before);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Puts into a working copy what its build needs. */
function makeBuildable(folder: string): void {
  const same = readFileSync(join(ROOT, 'package-lock.json'), 'utf8') === readFileSync(join(folder, 'package-lock.json'), 'utf8');
  if (same) symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  else execFileSync('npm', ['ci', '--ignore-scripts'], { cwd: folder, stdio: 'inherit' });
  execFileSync(process.execPath, ['scripts/generate-xds.mjs'], { cwd: folder, stdio: 'inherit' });
}

/** What this tree costs beside the other, by scenario. */
async function ratios(against: string, out: string): Promise<ReadonlyMap<string, number>> {
  const { only, seconds, repeats } = values;
  const options = [
    '--only',
    only,
    '--seconds',
    seconds,
    '--repeats',
    repeats,
    '--proxies',
    'sallyport',
    '--against',
    against,
    '--out',
    out,
  ];
  const run = spawn(process.execPath, [join(ROOT, 'bench/run.ts'), ...options], { stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = await once(run, 'exit');
  if (code !== 0) throw new Error(`a round ended with exit code ${code}`);
  const { figures } = JSON.parse(readFileSync(out, 'utf8')) as { figures: readonly Summary[] };
  const costs = figures.filter(({ unit }) => unit.startsWith('CPU'));
  const medianOf = (scenario: string, contestant: string) =>
    costs.find((each) => each.scenario === scenario && each.contestant === contestant)?.median;
  const found = new Map<string, number>();
  for (const { scenario } of costs) {
    const [now, then] = [medianOf(scenario, 'sallyport'), medianOf(scenario, 'before')];
    if (now !== undefined && then !== undefined) found.set(scenario, now / then);
  }
  return found;
}

function judge(rounds: readonly ReadonlyMap<string, number>[], commit: string): number {
  let failed = 0;
  for (const scenario of rounds[0]!.keys()) {
    const all = rounds.map((round) => round.get(scenario)!);
    const isWorse = all.every((ratio) => ratio > MOST);
    if (isWorse) failed += 1;
    console.log(
      `${isWorse ? 'WORSE' : 'fine '}  ${scenario}: CPU time ${all.map((ratio) => ratio.toFixed(2)).join(', ')} x that of ${commit.slice(0, 12)}`,
    );
  }
  if (rounds[0]!.size === 0) {
    console.error('gate: nothing was measured');
    return 3;
  }
  return failed > 0 ? 1 : 0;
}
