import { spawn } from 'node:child_process';
import { join } from 'node:path';

/** What runs before this one left: what each test reaches, and compiled code. */
export const CACHE = join(import.meta.dirname, '../../node_modules/.cache/sallyport-mutation');
/** Where processes find code that they need not compile again. By its content, so that what is changed is compiled. */
export const COMPILED: NodeJS.ProcessEnv = { ...process.env, NODE_COMPILE_CACHE: join(CACHE, 'compiled') };

/** What came of a run of tests: the line of the first that failed, or `undefined` where all passed. */
export type Outcome = string | undefined;

const LATE = 'not done after';

/** What is said of tests that took longer than `timeout`, ms. */
export const lateAfter = (timeout: number): string => `${LATE} ${timeout} ms`;

export function isLate(outcome: Outcome): boolean {
  return outcome?.startsWith(LATE) === true;
}

/**
 * Runs a process of tests that report as TAP, and ends it, with its children, at the first failure.
 * @param timeout ms, after which it is ended and counts as failed
 */
export function runTests(cwd: string, args: readonly string[], timeout: number, env = COMPILED): Promise<Outcome> {
  const child = spawn(process.execPath, ['--max-old-space-size=1500', '--test-reporter=tap', ...args], {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return new Promise((resolve, reject) => {
    let failure: Outcome;
    const fail = (why: string) => {
      failure ??= why;
      try {
        process.kill(-child.pid!, 'SIGKILL');
      } catch {
        // It has ended in between.
      }
    };
    const timer = setTimeout(() => fail(lateAfter(timeout)), timeout);
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      const failed = lines.find((line) => /^\s*not ok /.test(line) && !/# (?:TODO|SKIP)/.test(line));
      if (failed !== undefined) fail(failed.trim());
    });
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve(failure ?? (code === 0 ? undefined : `exit code ${code}`));
    });
  });
}
