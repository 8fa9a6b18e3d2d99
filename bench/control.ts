/**
 * `node bench/control.ts [--sizes 1000x1,3000x1,10000x1,1000x100,1000x1000] [--repeats 3] [--changes 3] [--against DIR] [--limit 300] [--ports 22000]`: what a
 * `sallyport controller` costs with so many services and simulated sidecars (services x proxies): the time until all that connect at once are configured and
 * until all have one changed timeout, the CPU time and memory of the controller for it, and the bytes that a proxy is sent. The controller is on one core, the
 * fleet on the other; of many proxies the fleet is the slower one, so that their CPU time says more than the clock. With `--against`, the build of
 * another working copy takes turns with this one.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { ResourceType } from '../src/xds/resources.ts';
import { FleetProxy } from './lib/fleet.ts';
import { cpuMicros, listening, PROXY_CORE, pinSelf, residentMiB, settled, start, stopAll, tailOf } from './lib/processes.ts';
import { buildPackage, ROOT } from './lib/proxies.ts';
import { Samples } from './lib/report.ts';
import { writeScaleConfig } from './lib/scale-config.ts';

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '1000x1,3000x1,10000x1,1000x100,1000x1000' },
    repeats: { type: 'string', default: '3' },
    changes: { type: 'string', default: '3' },
    against: { type: 'string' },
    limit: { type: 'string', default: '300' },
    ports: { type: 'string', default: '22000' },
  },
});
const limitMs = Number(values.limit) * 1000;
const base = Number(values.ports);
const PORTS = { xds: base, status: base + 1 };
/** Without CPU time for so long, ms, what follows a change has been done. */
const QUIET_MS = 3000;

interface Build {
  readonly name: string;
  readonly program: string;
}

const samples = new Samples();

function add(size: string, build: Build, metric: string, value: number): void {
  samples.add(`${size.padEnd(11)} ${metric.padEnd(32)} ${build.name}`, value);
}

/** Resolves with ms since `since` until each of the proxies has heard of the type, or the limit. */
function allHear(proxies: readonly FleetProxy[], type: ResourceType, since: number): Promise<number> {
  return new Promise((resolve) => {
    const waiting = new Set(proxies);
    const late = setTimeout(() => resolve(limitMs), limitMs);
    for (const proxy of proxies) {
      proxy.heard = (of) => {
        if (of !== type || !waiting.delete(proxy) || waiting.size > 0) return;
        clearTimeout(late);
        resolve(performance.now() - since);
      };
    }
  });
}

async function measure(folder: string, size: string, build: Build): Promise<void> {
  const [services, count] = size.split('x').map(Number) as [number, number];
  let state = { timeout: 5, status: 460 };
  const config = writeScaleConfig(join(folder, `config-${services}`), services, state);
  const log = join(folder, `${build.name}.log`);
  const addresses = ['--xds', `127.0.0.1:${PORTS.xds}`, '--status-address', `127.0.0.1:${PORTS.status}`];
  const running = start(build.name, PROXY_CORE, process.execPath, [build.program, 'controller', config.folder, ...addresses], log);
  const proxies: FleetProxy[] = [];
  try {
    await listening(PORTS.xds, build.name, log, limitMs);
    await settled(running, limitMs, QUIET_MS);
    const cpu = cpuMicros(running.pid);
    const since = performance.now();
    for (let index = 0; index < count; index++) proxies.push(new FleetProxy(PORTS.xds, index));
    add(size, build, 'configured, s', (await allHear(proxies, 'route', since)) / 1000);
    add(size, build, 'CPU to configure, s', (cpuMicros(running.pid) - cpu) / 1e6);
    add(size, build, 'sent a proxy, MB', proxies[0]!.received / 1e6);
    await settled(running, limitMs, QUIET_MS);
    for (let change = 0; change < Number(values.changes); change++) {
      const [before, sent] = [cpuMicros(running.pid), proxies[0]!.received];
      state = { timeout: state.timeout + 1, status: state.status + 1 };
      const changed = performance.now();
      config.change(state);
      add(size, build, 'change with all, s', (await allHear(proxies, 'route', changed)) / 1000);
      add(size, build, 'CPU until then, s', (cpuMicros(running.pid) - before) / 1e6);
      await settled(running, limitMs, QUIET_MS);
      add(size, build, 'CPU with what follows, s', (cpuMicros(running.pid) - before) / 1e6);
      add(size, build, 'sent a proxy for a change, KB', (proxies[0]!.received - sent) / 1e3);
    }
    add(size, build, 'peak memory, MiB', residentMiB(running.pid, true));
  } catch (error) {
    throw new Error(`${build.name}, ${size}: ${String(error)}\n${tailOf(log)}`, { cause: error });
  } finally {
    for (const proxy of proxies) proxy.close();
    await running.stop();
  }
}

pinSelf();
const folder = mkdtempSync(join(tmpdir(), 'sallyport-control-'));
try {
  const builds: Build[] = [{ name: 'new', program: buildPackage(folder, ROOT, 'new') }];
  if (values.against) builds.push({ name: 'old', program: buildPackage(folder, values.against, 'old') });
  for (const size of values.sizes.split(',')) {
    for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
      for (const build of repeat % 2 === 0 ? builds : builds.toReversed()) await measure(folder, size, build);
    }
  }
  console.log('services x proxies, metric, build: least / median / most');
  samples.print();
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}
