/**
 * `npm run test:lab`: the call table in real network namespaces, through the embedded data plane and through Envoy fed with our xDS. Needs root, iproute2,
 * iptables, dnsmasq, curl, openssl and python3 with pip; the lab itself stands beside the repository (../shared/lab).
 *
 *   node test/calls/run-lab.ts [--engine embedded,envoy] [--groups registry,egress,…] [--keep] [CASE…]      --keep leaves the lab up
 *
 * On Envoy it compares hops, response flags, code details and timings too. Fails on a difference that differences.yaml does not list, and on a listed one
 * that does not occur.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { fetchEnvoy } from '../../scripts/fetch-envoy.ts';
import { needs } from '../integration/tools.ts';
import { CASES_FOLDER, loadCases } from './cases.ts';
import { Differences, type Evaluator } from './differences.ts';

const HERE = import.meta.dirname;
const SHARED = join(HERE, '../../../shared');
const LAB = join(SHARED, 'lab/lab.py');
const GROUPS = 'registry,egress,tls,tcp,http,lb,resilience,identity,policy,gwapi';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: 'string', default: 'embedded,envoy' },
    groups: { type: 'string', default: GROUPS },
    keep: { type: 'boolean', default: false },
  },
});

process.exitCode = await main();

async function main(): Promise<number> {
  if (!existsSync(LAB)) {
    console.log(`test:lab: skipped: the lab is not beside the repository (${LAB})`);
    return 0;
  }
  const missing = needs('root', 'ip', 'iptables', 'dnsmasq', 'curl', 'openssl', 'python3', 'setpriv');
  if (missing !== false) {
    console.error(`test:lab: ${missing}`);
    return 3;
  }
  let failures = comparedWithOriginal();
  if ((await lab(['up'], {}, console.log)) !== 0) return 1;
  const view = publicView();
  try {
    for (const engine of values.engine.split(',') as Evaluator[]) failures += await runEngine(engine, view);
  } finally {
    view.close();
    if (!values.keep) await lab(['down'], {}, console.log);
  }
  console.log(failures === 0 ? 'test:lab: passed' : `test:lab: ${failures} failures`);
  return failures === 0 ? 0 : 1;
}

/** The copy of the table must be the table. Returns how many files differ. */
function comparedWithOriginal(): number {
  const original = join(SHARED, 'calls/cases');
  const names = new Set([...readdirSync(original), ...readdirSync(CASES_FOLDER)]);
  const text = (folder: string, name: string) => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : undefined);
  const different = [...names].filter((name) => text(original, name) !== text(CASES_FOLDER, name));
  for (const name of different) console.error(`test:lab: test/calls/cases/${name} is not the original: copy it anew`);
  return different.length;
}

/** The tree and Envoy where the proxies, which run as a user of their own, can read them: a clone may stand in a folder that only root may enter. */
interface PublicView {
  readonly plugin: string;
  envoy(): string;
  close(): void;
}

function publicView(): PublicView {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-lab-view-'));
  const tree = join(folder, 'tree');
  const envoy = join(folder, 'envoy');
  mkdirSync(tree);
  chmodSync(folder, 0o755);
  execFileSync('mount', ['--bind', join(HERE, '../..'), tree]);
  return {
    plugin: join(tree, 'test/calls/lab_plugin.py'),
    envoy() {
      if (!existsSync(envoy)) {
        copyFileSync(fetchEnvoy(), envoy);
        chmodSync(envoy, 0o755);
      }
      return envoy;
    },
    close() {
      execFileSync('umount', [tree]);
      rmSync(folder, { recursive: true });
    },
  };
}

/**
 * One engine over the table. A case that differs is made again by itself, twice at most, and the last time counts: outcomes that hang on timing (pools,
 * timeouts, the order of two log lines) suffer from whatever else the machine was doing, and where the record of a random choice is itself off the mean, a
 * right proxy is outside of the tolerance once in twenty runs. Returns the number of failures.
 */
async function runEngine(engine: Evaluator, view: PublicView): Promise<number> {
  const groups = new Set(values.groups.split(','));
  const chosen = loadCases().filter((each) => groups.has(each.group));
  const names = positionals.length > 0 ? positionals : chosen.map((each) => each.name);
  let run = await runCases(engine, view, names);
  for (let again = 0; again < 2 && run.ran && run.failed.size > 0; again++) {
    console.log(`test:lab: ${engine}: again: ${[...run.failed].join(', ')}`);
    run = await runCases(engine, view, [...run.failed]);
  }
  return run.failed.size + (run.ran ? 0 : 1);
}

/** The cases that failed, and whether the lab ran to its end. */
async function runCases(engine: Evaluator, view: PublicView, names: readonly string[]): Promise<{ failed: Set<string>; ran: boolean }> {
  const differences = Differences.load();
  const env: NodeJS.ProcessEnv = { SALLYPORT_ENGINE: engine };
  if (engine === 'envoy') env.SALLYPORT_ENVOY = view.envoy();
  const args = ['run', '--engine', view.plugin, ...(engine === 'envoy' ? ['--all'] : []), ...names];
  const count = { agreed: 0, listed: 0, failed: 0 };
  const failed = new Set<string>();
  let hidden = false;
  const onLine = (line: string) => {
    const call = /^(ok {2}|DIFF|ERROR|SKIP) ([\w-]+)(?: \/ (.*)|: .*)?$/.exec(line);
    if (call === null) {
      // Details of the call before.
      if (!hidden) console.log(line);
      return;
    }
    const [, state, name = '', callName = ''] = call;
    const reason = differences.reason(engine, name, callName.trim());
    hidden = true;
    const mayAgree = differences.mayAgree(engine, name, callName.trim());
    if (state === 'ok  ' && (reason === undefined || mayAgree)) count.agreed += 1;
    else if (state === 'DIFF' && reason !== undefined) count.listed += 1;
    else {
      hidden = false;
      count.failed += 1;
      failed.add(name);
      console.log(
        `${engine}: ${line}${state === 'ok  ' ? `\n       listed in differences.yaml, but agrees with the record: ${reason}` : ''}`,
      );
    }
  };
  const code = await lab(args, env, onLine);
  console.log(`test:lab: ${engine}: ${count.agreed} calls as recorded, ${count.listed} differ as listed, ${count.failed} failed`);
  // The lab ends with 1 for any difference, listed ones included; with anything else it did not run to its end.
  const ran = code <= 1 && count.agreed + count.listed + count.failed > 0;
  if (!ran) console.error(`test:lab: the lab ended with exit code ${code}`);
  return { failed, ran };
}

/** Runs the lab's script and hands its lines on; resolves with its exit code. */
async function lab(args: readonly string[], env: NodeJS.ProcessEnv, onLine: (line: string) => void): Promise<number> {
  const child = spawn('python3', ['-B', LAB, ...args], {
    cwd: dirname(HERE),
    env: { ...process.env, ...env, SALLYPORT_CALLS: CASES_FOLDER },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  createInterface({ input: child.stdout }).on('line', onLine);
  const [code] = (await once(child, 'close')) as [number | null];
  return code ?? 255;
}
