/** What consoles cost the threads that carry traffic: `up` under load, watched by nobody and by many, in turns. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { mesh } from '../../test/console/world.ts';
import { freePort, Program } from '../../test/integration/cli/program.ts';
import { median } from './report.ts';

const CONSOLES = Number(process.env.CONSOLES ?? 100);
/** Calls a second. */
const RATE = 10_000;
const CONNECTIONS = 100;
const TURNS = 5;

export interface ConsoleCost {
  /** Calls a second, without and with consoles. */
  readonly rates: readonly [number, number];
  /** CPU time of the threads that carry traffic, µs a request. */
  readonly without: number;
  readonly watched: number;
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
  const config = join(folder, 'traffic.yaml');
  writeFileSync(config, mesh((outside.address() as AddressInfo).port));
  const [alone, watched] = [await started(config, 1), await started(config, 2)];
  try {
    const [, address] = await watched.program.says(/console: (http\S+)/);
    const cookie = await entered(address!);
    const turns: Turn[] = [];
    for (const { port } of [alone, watched]) await load(folder, port, 3);
    for (let turn = 0; turn < TURNS; turn++) {
      turns.push({ isWatched: false, ...(await cost(folder, alone, seconds)) });
      const close = await consoles(watched.console, cookie);
      turns.push({ isWatched: true, ...(await cost(folder, watched, seconds)) });
      close();
    }
    const of = (isWatched: boolean, field: 'micros' | 'rate') =>
      median(turns.filter((turn) => turn.isWatched === isWatched).map((turn) => turn[field]));
    return { rates: [of(false, 'rate'), of(true, 'rate')], without: of(false, 'micros'), watched: of(true, 'micros') };
  } finally {
    await Promise.all([alone, watched].map(({ program }) => program.end()));
    outside.close();
  }
}

interface Turn {
  readonly isWatched: boolean;
  /** CPU time of a request. */
  readonly micros: number;
  /** Requests a second. */
  readonly rate: number;
}

async function started(config: string, number: number): Promise<Watched> {
  const [port, console] = [await freePort(), await freePort()];
  const ports = ['--proxy-address', String(port), '--console', `127.0.0.1:${console}`, '--capture-port', '0', '--dns-address', '0'];
  const none = ['--admin-address', '0', '--status-address', '0', '--router-address', `127.${98 + number}.${process.pid % 250}.1`];
  const program = new Program(['up', config, ...ports, ...none]);
  await program.says(/console: http/);
  return { program, port, console };
}

async function cost(folder: string, { program, port }: Watched, seconds: number): Promise<Omit<Turn, 'isWatched'>> {
  const before = trafficMicros(program.child.pid!);
  const requests = await load(folder, port, seconds);
  return { micros: (trafficMicros(program.child.pid!) - before) / requests, rate: requests / seconds };
}

async function entered(address: string): Promise<string> {
  const { headers } = await fetch(address, { redirect: 'manual' });
  return headers.getSetCookie()[0]!.split(';')[0]!;
}

/** Open streams whose readers take what comes. Returns what closes them. */
async function consoles(port: number, cookie: string): Promise<() => void> {
  const streams = await Promise.all(
    Array.from({ length: CONSOLES }, async () => {
      const asked = get({ host: '127.0.0.1', port, path: '/api/v1/events', headers: { cookie }, agent: false });
      const [answer] = await once(asked, 'response');
      answer.on('error', () => undefined).resume();
      return asked;
    }),
  );
  return () => {
    for (const stream of streams) stream.destroy();
  };
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

/** CPU time so far of the threads that carry traffic, in µs (/proc: names are cut, and schedstat has ns). */
function trafficMicros(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  const own = readdirSync(tasks).filter((task) => /^sallyport-worke/.test(readFileSync(join(tasks, task, 'comm'), 'utf8')));
  return own.reduce((sum, task) => sum + Number(readFileSync(join(tasks, task, 'schedstat'), 'utf8').split(' ')[0]) / 1000, 0);
}
