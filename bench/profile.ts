/**
 * `node bench/profile.ts [http|tls|termination|handshakes|new] [--seconds 5]`: a CPU profile of the data plane's worker under load, as shares of its busy time by module and by function (`--functions`: so many).
 * Profiling costs time itself: the shares count, not the rate.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type HttpLoad, wrk } from './lib/load.ts';
import { listening, stopAll } from './lib/processes.ts';
import { buildPackage, type Ports, sallyport, startUpstream, UPSTREAM } from './lib/proxies.ts';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly children?: readonly number[];
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

const headers = ['Connection: close'];
const LOADS: Readonly<Record<string, { readonly port: keyof Ports } & Partial<HttpLoad>>> = {
  http: { port: 'http' },
  tls: { port: 'tls' },
  termination: { port: 'termination', tls: true },
  handshakes: { port: 'handshakes', tls: true, headers },
  new: { port: 'http', headers },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '5' }, functions: { type: 'string', default: '40' } },
});
const folder = mkdtempSync(join(tmpdir(), 'sallyport-profile-'));
chmodSync(folder, 0o755);
try {
  await startUpstream(folder);
  const profiles = join(folder, 'profiles');
  mkdirSync(profiles);
  const proxy = sallyport(folder, buildPackage(folder), ['--cpu-prof', `--cpu-prof-dir=${profiles}`]);
  const running = proxy.start(proxy.ports, UPSTREAM, 'profile');
  await listening(proxy.ports.http, 'sallyport', join(folder, 'sallyport-profile.log'));
  const { port, ...load } = LOADS[positionals[0] ?? 'http']!;
  const { cpuMicrosPerRequest } = await wrk(proxy.ports[port], running, { ...load, connections: 64, seconds: Number(values.seconds) });
  await running.terminate();
  const found = readdirSync(profiles).map((name) => JSON.parse(readFileSync(join(profiles, name), 'utf8')) as Profile);
  // The thread that worked most is the one with the traffic.
  const busiest = found.map(shares).toSorted((a, b) => b.busy - a.busy)[0]!;
  console.log(
    `${cpuMicrosPerRequest.toFixed(0)} us of CPU time a request, the profile's own among it; busy ${(busiest.busy / 1e6).toFixed(1)} s\n\nby module`,
  );
  print(busiest.modules, busiest.busy, 20);
  console.log('\nby function');
  print(busiest.functions, busiest.busy, 25);
  console.log('\nby function, with what it calls');
  print(busiest.inclusive, busiest.busy, Number(values.functions));
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}

function shares({ nodes, samples, timeDeltas }: Profile) {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const callers = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)));
  const functions = new Map<string, number>();
  const inclusive = new Map<string, number>();
  const modules = new Map<string, number>();
  let busy = 0;
  for (const [index, id] of samples.entries()) {
    const frame = frames.get(id)!;
    if (frame.functionName === '(idle)') continue;
    const time = timeDeltas[index]!;
    busy += time;
    addTo(modules, moduleOf(frame), time);
    addTo(functions, nameOf(frame), time);
    const stack = new Set<string>();
    for (let at: number | undefined = id; at !== undefined; at = callers.get(at)) stack.add(nameOf(frames.get(at)!));
    for (const name of stack) addTo(inclusive, name, time);
  }
  return { busy, functions, inclusive, modules };
}

function moduleOf({ functionName, url }: ProfileNode['callFrame']): string {
  return url.replace(/^.*\/(?:dist|node_modules)\//, '') || functionName;
}

function nameOf(frame: ProfileNode['callFrame']): string {
  return `${frame.functionName || '(anonymous)'}  ${moduleOf(frame)}`;
}

function addTo(times: Map<string, number>, name: string, time: number): void {
  times.set(name, (times.get(name) ?? 0) + time);
}

function print(times: ReadonlyMap<string, number>, busy: number, count: number): void {
  for (const [name, time] of [...times].toSorted((a, b) => b[1] - a[1]).slice(0, count)) {
    console.log(`${((100 * time) / busy).toFixed(1).padStart(6)} %  ${name}`);
  }
}
