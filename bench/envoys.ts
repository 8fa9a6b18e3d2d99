/**
 * `npm run bench -- envoys [--sizes 1000,10000] [--changes 3] [--against DIR] [--limit 300] [--ports 22100]`: what a stock Envoy, as the sidecar of so many
 * services, gets of a `sallyport controller` and spends on it: until it is ready, and until it has one changed timeout; with virtual hosts as resources of their
 * own, and with route configurations whole. With `--against`, the build of another working copy beside.
 */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { fetchEnvoy } from '../scripts/fetch-envoy.ts';
import { envoyBootstrap } from '../src/xds/envoy-bootstrap.ts';
import { nodeJson } from '../src/xds/node.ts';
import {
  cpuMicros,
  LOAD_CORE,
  listening,
  PROXY_CORE,
  pinSelf,
  type Running,
  residentMiB,
  settled,
  start,
  stopAll,
  tailOf,
} from './lib/processes.ts';
import { buildPackage, ROOT } from './lib/proxies.ts';
import { Samples } from './lib/report.ts';
import { writeScaleConfig } from './lib/scale-config.ts';

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '1000,10000' },
    changes: { type: 'string', default: '3' },
    against: { type: 'string' },
    limit: { type: 'string', default: '300' },
    ports: { type: 'string', default: '22100' },
  },
});
const limitMs = Number(values.limit) * 1000;
const base = Number(values.ports);
const PORTS = { xds: base, status: base + 1, admin: base + 2 };
const ADDRESS = '127.0.0.1';
/** Without CPU time for so long, ms, an Envoy has done what it had to. */
const QUIET_MS = 2000;

interface Way {
  readonly name: string;
  readonly program: string;
  readonly options: readonly string[];
}

const samples = new Samples();

function add(services: number, { name }: Way, metric: string, value: number): void {
  samples.add(`${String(services).padEnd(6)} ${metric.padEnd(34)} ${name}`, value);
}

async function admin(path: string): Promise<string> {
  const answer = await fetch(`http://${ADDRESS}:${PORTS.admin}${path}`);
  return answer.text();
}

async function sumOf(filter: string): Promise<number> {
  const text = await admin(`/stats?filter=${filter}`);
  return text.split('\n').reduce((sum, line) => sum + Number(/: (\d+)$/.exec(line)?.[1] ?? 0), 0);
}

const received = () => sumOf('^cluster.xds.upstream_cx_rx_bytes_total$');
const reloads = () => sumOf('rds.*config_reload$');

/** Resolves with ms since `since`. */
async function until(what: string, since: number, holds: () => Promise<boolean>): Promise<number> {
  while (!(await holds().catch(() => false))) {
    if (performance.now() - since > limitMs) throw new Error(`${what}: not within ${values.limit} s`);
    await delay(5);
  }
  return performance.now() - since;
}

function startEnvoy(folder: string, log: string): Running {
  const identity = { type: 'sidecar', name: 'pod', namespace: 'default', addresses: ['10.100.0.1'], labels: { app: 'pod' } } as const;
  const bootstrap = envoyBootstrap({
    node: nodeJson({ ...identity, locality: '', serviceAccount: 'default' }),
    admin: { address: ADDRESS, port: PORTS.admin },
    xds: { address: ADDRESS, port: PORTS.xds },
    protocol: 'delta',
    tls: undefined,
  });
  const file = join(folder, 'envoy.json');
  writeFileSync(file, JSON.stringify(bootstrap));
  return start('envoy', LOAD_CORE, fetchEnvoy(), ['-c', file, '--disable-hot-restart', '--concurrency', '1', '-l', 'warn'], log);
}

async function measure(folder: string, services: number, way: Way): Promise<void> {
  let state = { timeout: 5, status: 460 };
  const config = writeScaleConfig(join(folder, `config-${services}`), services, state);
  const log = join(folder, `${way.name}.log`);
  const addresses = ['--xds', `${ADDRESS}:${PORTS.xds}`, '--status-address', `${ADDRESS}:${PORTS.status}`];
  const argv = [way.program, 'controller', config.folder, ...addresses, ...way.options];
  const controller = start(way.name, PROXY_CORE, process.execPath, argv, log);
  try {
    await listening(PORTS.xds, way.name, log, limitMs);
    await settled(controller, limitMs, QUIET_MS);
    const envoy = startEnvoy(folder, log);
    try {
      add(services, way, 'ready, s', (await until('ready', envoy.started, async () => (await admin('/ready')).startsWith('LIVE'))) / 1000);
      await settled(envoy, limitMs, QUIET_MS);
      add(services, way, "Envoy's CPU until then, s", cpuMicros(envoy.pid) / 1e6);
      add(services, way, "Envoy's memory, MiB", residentMiB(envoy.pid));
      add(services, way, 'received, MB', (await received()) / 1e6);
      const dump = join(folder, 'dump.json');
      writeFileSync(dump, await admin('/config_dump?resource=dynamic_listeners'));
      add(services, way, 'listeners as JSON, MB', statSync(dump).size / 1e6);
      for (let change = 0; change < Number(values.changes); change++) {
        const [bytes, cpu, count] = [await received(), cpuMicros(envoy.pid), await reloads()];
        state = { timeout: state.timeout + 1, status: state.status + 1 };
        const changed = performance.now();
        config.change(state);
        add(services, way, 'changed timeout in force, s', (await until('change', changed, async () => (await reloads()) > count)) / 1000);
        await settled(envoy, limitMs, QUIET_MS);
        add(services, way, "Envoy's CPU for it, s", (cpuMicros(envoy.pid) - cpu) / 1e6);
        add(services, way, 'received for it, bytes', (await received()) - bytes);
      }
      add(services, way, "Envoy's memory afterwards, MiB", residentMiB(envoy.pid));
    } finally {
      await envoy.stop();
    }
  } catch (error) {
    throw new Error(`${way.name}, ${services}: ${String(error)}\n${tailOf(log)}`, { cause: error });
  } finally {
    await controller.stop();
  }
}

pinSelf();
const folder = mkdtempSync(join(tmpdir(), 'sallyport-envoys-'));
try {
  const program = buildPackage(folder, ROOT, 'new');
  const ways: Way[] = [
    { name: 'by virtual host', program, options: [] },
    { name: 'whole', program, options: ['--no-vhds'] },
  ];
  if (values.against) ways.push({ name: 'old', program: buildPackage(folder, values.against, 'old'), options: [] });
  for (const size of values.sizes.split(',')) for (const way of ways) await measure(folder, Number(size), way);
  console.log('services, metric, way: least / median / most');
  samples.print();
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}
