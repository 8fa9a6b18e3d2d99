/**
 * `node bench/scale.ts [--services 1000,3000,10000] [--repeats 3] [--changes 3] [--against DIR] [--limit 300] [--ports 21000] [--out FILE]`: what `up` costs
 * with many services: time to the first right answer, memory, CPU time, and the time from the rename of a file with one changed timeout to the first answer
 * that shows the change. With `--against`, the build of another working copy takes turns with this one. No start may take longer than `--limit` seconds: that
 * is then its figure. Uses five ports from `--ports` on and a loopback address of the router's own, so that runs beside one another do not meet.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { cpuMicros, proportionalMiB, type Running, residentMiB, settled, start, stopAll, tailOf } from './lib/processes.ts';
import { buildPackage, ROOT } from './lib/proxies.ts';
import { median } from './lib/report.ts';
import { type ProbeState, type ScaleConfig, writeScaleConfig } from './lib/scale-config.ts';

const { values } = parseArgs({
  options: {
    services: { type: 'string', default: '1000,3000,10000' },
    repeats: { type: 'string', default: '3' },
    changes: { type: 'string', default: '3' },
    against: { type: 'string' },
    limit: { type: 'string', default: '300' },
    ports: { type: 'string', default: '21000' },
    out: { type: 'string' },
  },
});
const limitMs = Number(values.limit) * 1000;
const base = Number(values.ports);
const PORTS = { proxy: base, capture: base + 1, dns: base + 2, admin: base + 3, status: base + 4 };
const ROUTER = `127.0.${110 + (base % 100)}.1`;

/** Between two looks at whether the change is in force, in ms: the error of its time. */
const LOOK_MS = 4;

const METRICS = [
  ['ready', 's'],
  ['cpu to ready', 's'],
  ['peak memory', 'MiB'],
  ['settled memory', 'MiB'],
  ['settled memory (PSS)', 'MiB'],
  ['change in force', 's'],
  ['cpu of a change', 's'],
] as const;
type Metric = (typeof METRICS)[number][0];

interface Build {
  readonly name: string;
  readonly program: string;
}

const samples = new Map<string, number[]>();
const keyOf = (services: number, build: string, metric: Metric): string => `${services} ${build} ${metric}`;

function add(services: number, build: Build, metric: Metric, value: number): void {
  const key = keyOf(services, build.name, metric);
  samples.set(key, [...(samples.get(key) ?? []), value]);
}

const agent = new Agent({ keepAlive: true, maxSockets: 1 });

/** The status of a request through the explicit proxy, or undefined if there is no answer. */
function statusOf(host: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const sent = request({ host: '127.0.0.1', port: PORTS.proxy, path: `http://${host}/`, headers: { host }, agent }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode));
      answer.on('error', () => resolve(undefined));
    });
    sent.on('error', () => resolve(undefined));
    sent.end();
  });
}

/** Resolves with the time in ms until requests show the state; undefined if that takes longer than the limit. */
async function shows(config: ScaleConfig, state: ProbeState, since: number, running: Running): Promise<number | undefined> {
  for (;;) {
    if ((await statusOf(config.host)) === state.status) return performance.now() - since;
    if (performance.now() - since > limitMs) return undefined;
    if (!running.alive()) throw new Error('the proxy ended');
    await delay(LOOK_MS);
  }
}

async function measure(folder: string, services: number, build: Build): Promise<void> {
  let state: ProbeState = { timeout: 5, status: 460 };
  const config = writeScaleConfig(join(folder, `config-${services}`), services, state);
  const at = (port: number) => `127.0.0.1:${port}`;
  const log = join(folder, `${build.name}-${services}.log`);
  const running = start(
    build.name,
    '0-1',
    process.execPath,
    [
      ...[build.program, 'up', config.folder, '--router-address', ROUTER, '--capture-port', String(PORTS.capture)],
      ...['--proxy-address', at(PORTS.proxy), '--dns-address', at(PORTS.dns)],
      ...['--admin-address', at(PORTS.admin), '--status-address', at(PORTS.status)],
    ],
    log,
  );
  try {
    const ready = await shows(config, state, running.started, running);
    add(services, build, 'ready', (ready ?? limitMs) / 1000);
    add(services, build, 'cpu to ready', cpuMicros(running.pid) / 1e6);
    if (ready === undefined) return;
    await settled(running, limitMs);
    add(services, build, 'peak memory', residentMiB(running.pid, true));
    add(services, build, 'settled memory', residentMiB(running.pid));
    add(services, build, 'settled memory (PSS)', proportionalMiB(running.pid));
    for (let i = 0; i < Number(values.changes); i++) {
      const cpu = cpuMicros(running.pid);
      state = { timeout: state.timeout + 1, status: state.status + 1 };
      config.change(state);
      const inForce = await shows(config, state, performance.now(), running);
      add(services, build, 'change in force', (inForce ?? limitMs) / 1000);
      // Analysis may follow.
      await settled(running, limitMs);
      add(services, build, 'cpu of a change', (cpuMicros(running.pid) - cpu) / 1e6);
    }
  } catch (error) {
    throw new Error(`${build.name}, ${services} services: ${String(error)}\n${tailOf(log)}`, { cause: error });
  } finally {
    await running.stop();
    agent.destroy();
  }
}

const shown = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2));

function table(sizes: readonly number[], builds: readonly Build[]): string {
  const growth = sizes.length > 1 ? [`${sizes.at(-1)} / ${sizes[0]}`] : [];
  const rows = [['services', 'metric', 'unit', 'build', 'least', 'median', 'most', ...(builds.length > 1 ? ['new / old'] : []), ...growth]];
  const medianOf = (services: number, build: Build, metric: Metric): number | undefined => {
    const found = samples.get(keyOf(services, build.name, metric));
    return found && median(found);
  };
  const ratio = (a: number | undefined, b: number | undefined): string => (a === undefined || b === undefined ? '' : (a / b).toFixed(2));
  for (const services of sizes) {
    for (const [metric, unit] of METRICS) {
      for (const build of builds) {
        const found = samples.get(keyOf(services, build.name, metric));
        if (!found) continue;
        const middle = median(found);
        const beside = builds.length > 1 ? [build === builds[0] ? ratio(middle, medianOf(services, builds[1]!, metric)) : ''] : [];
        const grown = growth.map(() => (services === sizes.at(-1) ? ratio(middle, medianOf(sizes[0]!, build, metric)) : ''));
        rows.push([
          String(services),
          metric,
          unit,
          build.name,
          ...[Math.min(...found), middle, Math.max(...found)].map(shown),
          ...beside,
          ...grown,
        ]);
      }
    }
  }
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row.map((cell, column) => (column > 0 && column < 4 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('  '),
    )
    .join('\n');
}

const sizes = values.services.split(',').map(Number);
const folder = mkdtempSync(join(tmpdir(), 'sallyport-scale-'));
try {
  const builds: Build[] = [{ name: 'new', program: buildPackage(folder, ROOT, 'new') }];
  if (values.against) builds.push({ name: 'old', program: buildPackage(folder, values.against, 'old') });
  for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
    for (const services of sizes) {
      for (const build of repeat % 2 === 0 ? builds : builds.toReversed()) {
        await measure(folder, services, build);
        const ready = samples.get(keyOf(services, build.name, 'ready'))!.at(-1);
        console.log(`${services} services, ${build.name}, run ${repeat + 1}: ready after ${shown(ready)} s`);
      }
    }
  }
  console.log(`\n${table(sizes, builds)}`);
  if (values.out) writeFileSync(values.out, JSON.stringify(Object.fromEntries(samples), null, 1));
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}
