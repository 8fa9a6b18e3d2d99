/**
 * `node bench/profile.ts [http|tls] [--seconds 5]`: a CPU profile of the data plane's worker under load, as shares of its busy time by module and by function.
 * Profiling costs time itself: the shares count, not the rate.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { wrk } from './lib/load.ts';
import { listening, stopAll } from './lib/processes.ts';
import { buildPackage, sallyport, startUpstream, UPSTREAM } from './lib/proxies.ts';

interface Profile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: { readonly functionName: string; readonly url: string } }[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { seconds: { type: 'string', default: '5' } } });
const folder = mkdtempSync(join(tmpdir(), 'sallyport-profile-'));
chmodSync(folder, 0o755);
try {
  await startUpstream(folder);
  const profiles = join(folder, 'profiles');
  mkdirSync(profiles);
  const proxy = sallyport(folder, buildPackage(folder), ['--cpu-prof', `--cpu-prof-dir=${profiles}`]);
  const running = proxy.start(proxy.ports, UPSTREAM, 'profile');
  await listening(proxy.ports.http, 'sallyport', join(folder, 'sallyport-profile.log'));
  const load = { connections: 64, seconds: Number(values.seconds) };
  await wrk(positionals[0] === 'tls' ? proxy.ports.tls : proxy.ports.http, running, load);
  await running.terminate();
  const found = readdirSync(profiles).map((name) => JSON.parse(readFileSync(join(profiles, name), 'utf8')) as Profile);
  // The thread that worked most is the one with the traffic.
  const busiest = found.map(shares).toSorted((a, b) => b.busy - a.busy)[0]!;
  console.log(`busy ${(busiest.busy / 1e6).toFixed(1)} s\n\nby module`);
  print(busiest.modules, busiest.busy, 20);
  console.log('\nby function');
  print(busiest.functions, busiest.busy, 25);
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}

function shares({ nodes, samples, timeDeltas }: Profile) {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const functions = new Map<string, number>();
  const modules = new Map<string, number>();
  let busy = 0;
  for (const [index, id] of samples.entries()) {
    const { functionName, url } = frames.get(id)!;
    if (functionName === '(idle)') continue;
    const time = timeDeltas[index]!;
    const module = url.replace(/^.*\/(?:dist|node_modules)\//, '') || functionName;
    busy += time;
    modules.set(module, (modules.get(module) ?? 0) + time);
    const name = `${functionName || '(anonymous)'}  ${module}`;
    functions.set(name, (functions.get(name) ?? 0) + time);
  }
  return { busy, functions, modules };
}

function print(times: ReadonlyMap<string, number>, busy: number, count: number): void {
  for (const [name, time] of [...times].toSorted((a, b) => b[1] - a[1]).slice(0, count)) {
    console.log(`${((100 * time) / busy).toFixed(1).padStart(6)} %  ${name}`);
  }
}
