/** Starts Envoy so that it ends with this process, however that ends: SIGKILL leaves nobody to tell it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';

/**
 * What the child runs before it becomes Envoy: it asks the kernel for SIGKILL at its parent's death (prctl(2), PR_SET_PDEATHSIG), which outlives execve(2).
 * A parent that had died before that is no parent any more.
 */
const STEP = `
const [koffi, parent, binary, ...argv] = process.argv.slice(1);
const prctl = require(koffi).load(null).func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)');
if (prctl(1, 9, 0, 0, 0) !== 0) throw new Error('prctl(PR_SET_PDEATHSIG) failed');
if (process.ppid !== Number(parent)) process.exit(1);
process.execve(binary, [binary, ...argv], process.env);
`;

/** `binary` with its arguments. Where the system has no parent-death signal it is started as it is, and found by the next start (`leftovers.ts`). */
export function spawnEnvoy(
  binary: string,
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): ChildProcess {
  const stdio = ['ignore', 'inherit', 'inherit'] as const;
  if (process.platform !== 'linux') return spawn(binary, argv, { stdio: [...stdio], env: environment });
  const koffi = createRequire(import.meta.url).resolve('koffi');
  // Warnings of Node about this step are nobody's business; options for this process are not for it.
  const env = { ...environment, NODE_OPTIONS: '' };
  const step = ['--no-warnings', '-e', STEP, '--', koffi, String(process.pid), binary, ...argv];
  return spawn(process.execPath, step, { stdio: [...stdio], env });
}
