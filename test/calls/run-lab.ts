/**
 * The call table in the lab: real network namespaces, the product's proxies in each pod, on the embedded data plane and on Envoy with our xDS.
 *
 *     node test/calls/run-lab.ts [embedded|envoy ...] [-- arguments for lab.py, e.g. --group tls]
 *
 * Needs root, iproute2, iptables, dnsmasq and the lab (LAB, or ../shared/lab beside the repository). Exits with 1 where a call differs from the
 * record and differences.yaml does not say why, or a difference listed there does not occur.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fetchEnvoy, findEnvoy } from '../../scripts/fetch-envoy.ts';
import { needs } from '../integration/tools.ts';
import { loadCases } from './cases.ts';
import { Differences, type Evaluator } from './differences.ts';

/** The groups that must agree. */
const GROUPS = ['registry', 'egress', 'tls', 'tcp', 'http', 'lb', 'resilience'];
const LAB = process.env.LAB ?? join(import.meta.dirname, '../../../shared/lab');
const PLUGIN = join(import.meta.dirname, 'lab_plugin.py');

interface Outcome {
  readonly case: string;
  /** Undefined where the whole case failed. */
  readonly call: string | undefined;
  readonly agrees: boolean;
  readonly details: string[];
}

async function lab(args: readonly string[], environment: Readonly<Record<string, string>>): Promise<Outcome[]> {
  const child = spawn('python3', ['-B', join(LAB, 'lab.py'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...environment },
  });
  const outcomes: Outcome[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const call = /^(ok {2}|DIFF) (\S+) \/ (.*)$/.exec(line);
    const failed = /^ERROR (\S+?): (.*)$/.exec(line);
    if (call) outcomes.push({ case: call[2]!, call: call[3]!.trim(), agrees: call[1] !== 'DIFF', details: [] });
    else if (failed) outcomes.push({ case: failed[1]!, call: undefined, agrees: false, details: [failed[2]!] });
    else if (line.startsWith('       ')) outcomes.at(-1)?.details.push(line.trim());
  }
  if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once('exit', resolve));
  return outcomes;
}

/** Prints what is wrong; returns how much. */
function judge(evaluator: Evaluator, outcomes: readonly Outcome[], differences: Differences): number {
  let wrong = 0;
  let known = 0;
  for (const { case: name, call, agrees, details } of outcomes) {
    const reason = call === undefined ? undefined : differences.reason(evaluator, name, call);
    if (agrees && reason === undefined) continue;
    if (!agrees && reason !== undefined) {
      known++;
      continue;
    }
    wrong++;
    const what = agrees ? 'agrees with the record: take it off differences.yaml' : 'differs from the record';
    console.log([`${evaluator}: ${name} / ${call ?? 'the whole case'}: ${what}`, ...details.map((line) => `    ${line}`)].join('\n'));
  }
  console.log(`${evaluator}: ${outcomes.length} calls, ${known} known differences, ${wrong} not explained`);
  return outcomes.length === 0 ? 1 : wrong;
}

async function main(): Promise<number> {
  const skip =
    needs('root', 'ip', 'iptables', 'dnsmasq', 'python3', 'openssl', 'setpriv', 'curl') ||
    (existsSync(LAB) ? false : `${LAB} is not there`);
  if (skip) {
    console.log(`skipped: ${skip}`);
    return 0;
  }
  const dashes = process.argv.indexOf('--');
  const asked = process.argv.slice(2, dashes < 0 ? undefined : dashes);
  const rest = dashes < 0 ? GROUPS.flatMap((group) => ['--group', group]) : process.argv.slice(dashes + 1);
  const engines = (asked.length > 0 ? asked : ['embedded', 'envoy']) as ('embedded' | 'envoy')[];
  const differences = Differences.load();
  const errors = differences.errors(loadCases());
  for (const error of errors) console.log(`differences.yaml: ${error}`);
  await lab(['up'], {});
  let wrong = errors.length;
  for (const engine of engines) {
    const envoy: Record<string, string> = engine === 'envoy' ? { SALLYPORT_ENVOY: findEnvoy() ?? fetchEnvoy() } : {};
    const outcomes = await lab(['run', '--engine', PLUGIN, ...rest], {
      SALLYPORT_ENGINE: engine,
      SALLYPORT_NODE: process.execPath,
      ...envoy,
    });
    wrong += judge(engine, outcomes, differences);
  }
  return wrong === 0 ? 0 : 1;
}

process.exitCode = await main();
