/**
 * `npm test` runs the tests of the parts and of the whole program; `npm run test:deep` those that make thousands of calls or need a lab, which CI runs too:
 * both engines beside each other on hostile bytes, forty ways round the sandbox, generated ways out, one policy's verdicts by every way, real work inside of it, the call table on loopback and from pods, every mistake of one step, generated configurations, a real browser, a real API server, Istio's control plane, its code for patches and for whole meshes, a real rate limit service, gRPC clients without a proxy, pods on a real node.
 *
 * Tests of pure folders share one process, as most of the time of a test file of its own goes into loading; the others have one each.
 */
import { spawn } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TOGETHER } from './together.ts';

const ROOT = join(import.meta.dirname, '..');

const DEEP = [
  'test/attacks/{attempts,beside-envoy,sandbox}.test.ts',
  'test/calls/{convert,loopback,quick-diff}.test.ts',
  'test/console/**/*.test.ts',
  'test/field/proposals.test.ts',
  'test/golden/incremental.test.ts',
  'test/integration/{agent,package,pilot-agent,proxyless,review}.test.ts',
  'test/integration/patches/istio.test.ts',
  'test/integration/rate-limit/real.test.ts',
  'test/integration/run/**/*.test.ts',
  'test/kube/**/*.test.ts',
  'test/mistakes/**/*.test.ts',
  'test/property/**/*.test.ts',
  'test/verdicts/**/*.test.ts',
];
/** They have the lab's only node, each for itself: those that ask for it. */
const isOnTheNode = (file: string) => /from '\.\/node\.ts'/.test(readFileSync(join(ROOT, file), 'utf8'));
/** Of one test, ms: what hangs fails. */
const TIMEOUT_MS = 300_000;

/** What is compiled is kept for the next file, which loads much the same. */
const env = { ...process.env, NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/compiled-tests') };

const files = (patterns: string | string[]) => new Set(globSync(patterns, { cwd: ROOT }).sort());

/** Resolves with the exit code. What the run writes comes at its end where `held`, so that two runs do not write into each other. */
function run(tests: ReadonlySet<string>, args: readonly string[], held: boolean): Promise<number> {
  const child = spawn(process.execPath, ['--test', `--test-timeout=${TIMEOUT_MS}`, ...args, ...tests], {
    cwd: ROOT,
    env,
    stdio: ['ignore', held ? 'pipe' : 'inherit', 'inherit'],
  });
  const parts: Buffer[] = [];
  child.stdout?.on('data', (part: Buffer) => parts.push(part));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      process.stdout.write(Buffer.concat(parts));
      resolve(code ?? 1);
    });
  });
}

const deep = files(DEEP);
const together = files(TOGETHER);
const apart = files(['src/**/*.test.ts', 'test/**/*.test.ts']);
for (const file of [...deep, ...together]) apart.delete(file);
const onTheNode = new Set([...files('test/kube/*.test.ts')].filter(isOnTheNode));
for (const file of onTheNode) deep.delete(file);
const codes =
  process.argv[2] === 'deep'
    ? [await run(deep, ['--test-concurrency=2'], false), await run(onTheNode, ['--test-concurrency=1'], false)]
    : await Promise.all([run(together, ['--test-isolation=none'], true), run(apart, ['--test-concurrency=2'], false)]);
process.exitCode = Math.max(...codes);
