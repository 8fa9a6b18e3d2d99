/** Runs the demonstration. */

import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ControlPlane } from '../control/from-files.ts';
import type { LocalMeshOptions } from '../control/local/options.ts';
import { type LocalMeshHost, startLocalMesh } from '../control/local/start.ts';
import { freePort } from '../lib/free-port.ts';
import { PACKAGE_ROOT } from '../lib/package-root.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { type Call, type Example, readExamples } from './calls.ts';
import { make, type Result } from './client.ts';
import { type Arrival, OUTSIDE_PORTS, type Outside, startOutside } from './outside.ts';
import { LOG_FIELDS, type LogRecord, type Way, wayOf } from './path.ts';

const OUTSIDE_ADDRESS = '127.0.0.1';
const SECRET_FILE = 'outside-ca.yaml';
const LOG_FILE = 'access.log';

/** A call that was made, and where it went. */
export interface Row {
  readonly call: Call;
  readonly result: Result;
  readonly answered: boolean;
  readonly way: Way;
  /** Where it differs from what the example states. */
  readonly problems: readonly string[];
}

/** Whom the demonstration tells what. */
export interface DemoHost {
  readonly mesh: Omit<LocalMeshHost, 'adjust'>;
  readonly shown: (example: Example, rows: readonly Row[]) => void;
}

export interface DemoResult {
  readonly examples: number;
  readonly calls: number;
  /** Calls that did not end as the example states. */
  readonly differing: number;
}

/** @param folder with the examples; undefined for the package's own */
export async function runDemo(names: readonly string[], folder: string | undefined, host: DemoHost): Promise<DemoResult> {
  const examples = readExamples(folder ?? fileURLToPath(new URL('examples', PACKAGE_ROOT)), names);
  const work = mkdtempSync(join(tmpdir(), 'sallyport-demo-'));
  const outside = await startOutside(OUTSIDE_ADDRESS, Date.now());
  let differing = 0;
  let mesh: ControlPlane | undefined;
  try {
    writeFileSync(join(work, SECRET_FILE), secretFor(outside));
    const proxy = { address: '127.0.0.1', port: await freePort() };
    for (const example of examples) {
      const paths = [example.folder, join(work, SECRET_FILE)];
      if (mesh) await mesh.use(paths);
      else mesh = await startMesh(paths, proxy, join(work, LOG_FILE), host.mesh);
      const rows = await makeCalls(example, { mesh, outside, proxy, log: join(work, LOG_FILE) });
      differing += rows.filter(({ problems }) => problems.length > 0).length;
      host.shown(example, rows);
    }
  } finally {
    await mesh?.close(OPTIONS.graceMs);
    outside.close();
    rmSync(work, { recursive: true, force: true });
  }
  return { examples: examples.length, calls: examples.reduce((sum, { calls }) => sum + calls.length, 0), differing };
}

/**
 * The stand-ins alone, for trying an example by hand, until a signal ends them.
 * @param folder where their CA is written, as a certificate and as the Secret that examples name; undefined for nowhere
 */
export async function serveOutside(folder: string | undefined, tell: (text: string) => void): Promise<void> {
  const outside = await startOutside(OUTSIDE_ADDRESS, Date.now());
  const ports = Object.entries(OUTSIDE_PORTS).map(([name, port]) => `${name} ${OUTSIDE_ADDRESS}:${port}`);
  tell(`stand-ins for the outside: ${ports.join(', ')}`);
  if (folder !== undefined) {
    writeFileSync(join(folder, 'outside-ca.crt'), outside.authority.certificate);
    writeFileSync(join(folder, SECRET_FILE), secretFor(outside));
    tell(`their CA: ${join(folder, 'outside-ca.crt')}, and as a Secret for the egress gateway: ${join(folder, SECRET_FILE)}`);
  }
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  outside.close();
}

/** One mesh for all examples: each takes the place of the one before while it runs. */
async function startMesh(
  paths: readonly string[],
  proxyAddress: SocketAddress,
  log: string,
  host: DemoHost['mesh'],
): Promise<ControlPlane> {
  const { control } = await startLocalMesh(
    paths,
    { ...OPTIONS, proxyAddress },
    {
      ...host,
      adjust: (config) => ({
        ...config,
        accessLogFile: log,
        accessLogEncoding: 'JSON',
        accessLogFormat: JSON.stringify(LOG_FIELDS),
      }),
    },
  );
  return control;
}

interface Stage {
  readonly mesh: ControlPlane;
  readonly outside: Outside;
  readonly proxy: SocketAddress;
  readonly log: string;
}

async function makeCalls({ calls }: Example, { mesh, outside, proxy, log }: Stage): Promise<Row[]> {
  const rows: Row[] = [];
  for (const call of calls) {
    const arrived = outside.arrivals.length;
    const seen = readLines(log).length;
    const result = await make(call, { proxy, ca: outside.authority.certificate, routers: routersOf(mesh) });
    const arrivals = outside.arrivals.slice(arrived);
    const proxies = call.expect.path.filter((name) => name === 'sidecar' || routersOf(mesh).has(name));
    const records = await newRecords(log, seen, proxies.length);
    const answered = arrivals.length > 0 || (result.status > 0 && result.status < 400);
    const way = wayOf(records, mesh.report.proxies, answered);
    rows.push({ call, result, answered, way, problems: problemsOf(call, result, answered, way, arrivals) });
  }
  return rows;
}

/** Addresses of the local routers by name. */
function routersOf({ report }: ControlPlane): ReadonlyMap<string, string> {
  return new Map(
    report.proxies.flatMap(({ identity: { name, bindAddress, type } }) => (type === 'router' ? [[name, bindAddress!] as const] : [])),
  );
}

function problemsOf(
  { expect }: Call,
  { status, text }: Result,
  answered: boolean,
  { path, because }: Way,
  arrivals: readonly Arrival[],
): string[] {
  const outcome = answered ? 'answered' : 'refused';
  const problems: string[] = [];
  if (outcome !== expect.outcome) problems.push(`the example states that it is ${expect.outcome}, it was ${outcome} (${status || text})`);
  if (expect.status !== undefined && status !== expect.status)
    problems.push(`the example states status ${expect.status}, it was ${status || text}`);
  if (expect.reply !== undefined && !text.startsWith(expect.reply))
    problems.push(`the example states the reply ${expect.reply}, it was ${text}`);
  if (path.join() !== expect.path.join())
    problems.push(`the example states the path ${expect.path.join(' → ')}, it was ${path.join(' → ') || 'none'}`);
  if (!because.includes(expect.because))
    problems.push(`the example states that ${expect.because} decides, it was: ${because || 'nothing known'}`);
  if (expect.server && !arrivals.some(({ server }) => server === expect.server))
    problems.push(`nothing reached the ${expect.server} server`);
  return problems;
}

/** The log lines beyond those seen, once there are as many as expected (or, after a second, what there is). */
async function newRecords(log: string, seen: number, expected: number): Promise<LogRecord[]> {
  const end = performance.now() + 1000;
  for (;;) {
    const lines = readLines(log).slice(seen);
    if (lines.length >= expected || performance.now() > end) return lines.map((line) => JSON.parse(line) as LogRecord);
    await delay(10);
  }
}

function readLines(log: string): string[] {
  try {
    return readFileSync(log, 'utf8').split('\n').slice(0, -1);
  } catch {
    // Not written yet.
    return [];
  }
}

const OPTIONS: LocalMeshOptions = {
  namespace: 'default',
  workload: { app: 'demo' },
  // Beside a mesh of `up`.
  routerAddress: '127.0.102.1',
  proxyAddress: { address: '127.0.0.1', port: 0 },
  capturePort: 0,
  dnsAddress: { address: '127.0.0.1', port: 0 },
  adminAddress: { address: '127.0.0.1', port: 0 },
  statusAddress: { address: '127.0.0.1', port: 0 },
  engine: 'embedded',
  envoy: undefined,
  logLevel: 'warning',
  concurrency: 1,
  graceMs: 200,
  analyse: false,
};

/** The CA of the stand-ins as the Secret that examples name. */
function secretFor({ authority }: Outside): string {
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'outside-ca', namespace: 'istio-system' },
    stringData: { 'ca.crt': authority.certificate },
  };
  return `${JSON.stringify(secret, undefined, 1)}\n`;
}
