/**
 * What consoles cost the threads that carry traffic: `up` under load, watched by nobody and by many, in turns. Those threads have the first core to themselves;
 * the main thread, the load and what reads the consoles have the others, so that what they take there is not counted as the traffic's.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { availableParallelism, constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { mesh } from '../../test/console/world.ts';
import { freePort, Program } from '../../test/integration/cli/program.ts';
import { median } from './report.ts';

const CONSOLES = Number(process.env.CONSOLES ?? 100);
/** Calls a second: as many as leave the cores some room, since threads that are never idle do more for each round of their loop. */
const RATE = Number(process.env.RATE ?? 5_000);
const CONNECTIONS = 100;
const TURNS = Number(process.env.TURNS ?? 8);
/** Seconds: until what is often run is compiled. */
const WARM_UP = 6;

export interface ConsoleCost {
  /** Calls a second, without and with consoles. */
  readonly rates: readonly [number, number];
  /** CPU time of the threads that carry traffic, µs a request. */
  readonly without: number;
  readonly watched: number;
  /** The same of the process that is watched later, over that of the other, while neither is: what chance makes of two alike. */
  readonly alike: number;
  /** CPU time of the main thread of the one that is watched, as a part of a core. */
  readonly main: number;
}

interface Watched {
  readonly program: Program;
  readonly port: number;
  readonly console: number;
}

/** Two of the same, as a console that was closed is watched for a while still. @param seconds of each turn */
export async function costOfConsoles(folder: string, seconds: number): Promise<ConsoleCost> {
  const outside = createServer((_, answer) => answer.end('outside\n')).listen(0, '127.0.0.1');
  await once(outside, 'listening');
  await pin(process.pid, OTHERS, 'all');
  const config = join(folder, 'traffic.yaml');
  writeFileSync(config, mesh((outside.address() as AddressInfo).port));
  const [alone, watched] = [await started(config, 1), await started(config, 2)];
  try {
    for (const { port } of [alone, watched]) await load(folder, port, WARM_UP);
    const before = await inTurns(folder, [alone, watched], seconds);
    const [, address] = await watched.program.says(/console: (http\S+)/);
    const close = await consoles(watched.console, await entered(address!));
    await load(folder, watched.port, WARM_UP);
    const after = await inTurns(folder, [alone, watched], seconds);
    close();
    return {
      rates: [after[0].rate, after[1].rate],
      without: after[0].micros,
      watched: after[1].micros,
      alike: before[1].micros / before[0].micros,
      main: after[1].main,
    };
  } finally {
    await Promise.all([alone, watched].map(({ program }) => program.end()));
    outside.close();
  }
}

interface Turn {
  /** CPU time of a request. */
  readonly micros: number;
  /** Requests a second. */
  readonly rate: number;
  /** Part of a core that the main thread takes. */
  readonly main: number;
}

/** The medians of each. */
async function inTurns(folder: string, both: readonly [Watched, Watched], seconds: number): Promise<readonly [Turn, Turn]> {
  const turns: [Turn[], Turn[]] = [[], []];
  for (let turn = 0; turn < TURNS; turn++) for (const i of [0, 1] as const) turns[i].push(await cost(folder, both[i], seconds));
  const middle = (of: readonly Turn[]): Turn => ({
    micros: median(of.map(({ micros }) => micros)),
    rate: median(of.map(({ rate }) => rate)),
    main: median(of.map(({ main }) => main)),
  });
  return [middle(turns[0]), middle(turns[1])];
}

async function started(config: string, number: number): Promise<Watched> {
  const [port, console] = [await freePort(), await freePort()];
  const ports = ['--proxy-address', String(port), '--console', `127.0.0.1:${console}`, '--capture-port', '0', '--dns-address', '0'];
  const none = ['--admin-address', '0', '--status-address', '0', '--router-address', `127.${98 + number}.${process.pid % 250}.1`];
  const program = new Program(['up', config, ...ports, ...none]);
  await program.says(/console: http/);
  const pid = program.child.pid!;
  await pin(pid, OTHERS, 'all');
  for (const thread of trafficThreads(pid)) await pin(thread, FIRST);
  return { program, port, console };
}

/** Cores, as taskset names them. */
const FIRST = '0';
const OTHERS = `1-${availableParallelism() - 1}`;

/** Has a thread, or all of a process, run there alone. */
async function pin(id: number, cores: string, all?: 'all'): Promise<void> {
  await promisify(execFile)('taskset', [...(all ? ['-a'] : []), '-p', '-c', cores, String(id)]);
}

async function cost(folder: string, { program, port }: Watched, seconds: number): Promise<Turn> {
  const pid = program.child.pid!;
  const times = () => [trafficThreads(pid).reduce((sum, id) => sum + microsOf(pid, id), 0), microsOf(pid, pid)] as const;
  const before = times();
  const requests = await load(folder, port, seconds);
  const after = times();
  return { micros: (after[0] - before[0]) / requests, rate: requests / seconds, main: (after[1] - before[1]) / (seconds * 1e6) };
}

async function entered(address: string): Promise<string> {
  const { headers } = await fetch(address, { redirect: 'manual' });
  return headers.getSetCookie()[0]!.split(';')[0]!;
}

/**
 * Opens the consoles. They give way to the load: were it slower for them, each round of a loop would be shared by fewer requests, and a request seem dearer.
 * Returns what closes them.
 */
async function consoles(port: number, cookie: string): Promise<() => void> {
  const module = join(import.meta.dirname, 'console-readers.ts');
  const child = spawn(process.execPath, [module, String(port), cookie, String(CONSOLES)], { stdio: ['ignore', 'pipe', 'inherit'] });
  setPriority(child.pid!, constants.priority.PRIORITY_LOW);
  const [said] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit').then(() => [''])]);
  if (String(said).trim() !== 'open') throw new Error('the consoles could not be opened');
  return () => child.kill();
}

/** Not as fast as can be: what a round of the loop costs is shared by its requests, and consoles take their part of the machine. */
const SCRIPT = `
request = function() return wrk.format("GET", "http://leak.example.com/", { host = "leak.example.com" }) end
delay = function() return ${(CONNECTIONS * 1000) / RATE} end
`;

/** Requests by the explicit proxy. Returns how many were answered. */
async function load(folder: string, port: number, seconds: number): Promise<number> {
  const script = join(folder, 'proxy.lua');
  writeFileSync(script, SCRIPT);
  const args = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '-s', script, `http://127.0.0.1:${port}/`];
  const { stdout } = await promisify(execFile)('wrk', args);
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(stdout);
  return Number(/(\d+) requests in/.exec(stdout)![1]);
}

function trafficThreads(pid: number): number[] {
  const tasks = `/proc/${pid}/task`;
  // Names are cut there.
  return readdirSync(tasks)
    .filter((task) => /^sallyport-worke/.test(readFileSync(join(tasks, task, 'comm'), 'utf8')))
    .map(Number);
}

/** CPU time of a thread so far. */
function microsOf(pid: number, thread: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1000;
}
