/** Processes of the benchmark: pinned to a core, measured through /proc, ended by their own id. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Core of the proxy that is measured, and core of everything else: load, upstream, this process. */
export const PROXY_CORE = 0;
export const LOAD_CORE = 1;

/** Puts this process, which makes the constant load, on the load's core. */
export function pinSelf(): void {
  execFileSync('taskset', ['-a', '-cp', String(LOAD_CORE), String(process.pid)], { stdio: 'ignore' });
}

export interface Running {
  readonly name: string;
  readonly pid: number;
  /** performance.now() when it was started. */
  readonly started: number;
  alive(): boolean;
  stop(): Promise<void>;
  /** As `stop`, but lets it end by itself. */
  terminate(): Promise<void>;
}

const running = new Set<ChildProcess>();

/** Starts a program on one core, or on several (`0-1`); both outputs go to a log file. */
export function start(name: string, core: number | string, command: string, args: readonly string[], log: string): Running {
  const output = openSync(log, 'a');
  const started = performance.now();
  const child = spawn('taskset', ['-c', String(core), command, ...args], { stdio: ['ignore', output, output], detached: true });
  running.add(child);
  child.on('exit', () => running.delete(child));
  return {
    name,
    pid: child.pid!,
    started,
    alive: () => child.exitCode === null && child.signalCode === null,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      end(child);
      await once(child, 'exit');
    },
    async terminate() {
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}

/** Ends whatever is still running. */
export async function stopAll(): Promise<void> {
  await Promise.all(
    [...running].map(async (child) => {
      end(child);
      await once(child, 'exit');
    }),
  );
}

/** With its children: each was started as the leader of a process group of its own. */
function end(child: ChildProcess): void {
  process.kill(-child.pid!, 'SIGKILL');
}

process.on('exit', () => {
  for (const child of running) end(child);
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

/** The end of what a process wrote. */
export function tailOf(log: string): string {
  return readFileSync(log, 'utf8').slice(-2000);
}

/** Resolves when something takes connections at the port. */
export async function listening(port: number, what: string, log: string, ms = 20_000): Promise<void> {
  const end = performance.now() + ms;
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    if (performance.now() > end) throw new Error(`${what} does not listen on ${port}:\n${tailOf(log)}`);
    await delay(20);
  }
}

let ticksPerSecond = 0;

/** Of /proc/PID/stat, what follows the command's name: state, parent, … */
function statFields(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

const families = new Map<number, number[]>();

/** The process and its children: nginx does its work in a child. Looked up once, when it serves already. */
function family(pid: number): number[] {
  let known = families.get(pid);
  if (known === undefined) {
    const others = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== pid);
    const isChild = (name: string) => {
      try {
        return Number(statFields(Number(name))[1]) === pid;
      } catch {
        return false; // It ended meanwhile.
      }
    };
    known = [pid, ...others.filter(isChild).map(Number)];
    families.set(pid, known);
  }
  return known;
}

/** CPU time of a process and its children so far, in microseconds. */
export function cpuMicros(pid: number): number {
  ticksPerSecond ||= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  let ticks = 0;
  for (const each of family(pid)) {
    const fields = statFields(each);
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return (ticks / ticksPerSecond) * 1e6;
}

/** Without CPU time for so long, what was started has settled; longer than it waits before it collects garbage. */
const QUIET_MS = 5000;

/** Resolves when the process has done what it had to do and took no CPU time for `quietMs`, or after `limitMs`. */
export async function settled({ pid }: Pick<Running, 'pid'>, limitMs: number, quietMs = QUIET_MS): Promise<void> {
  const end = performance.now() + limitMs;
  let cpu = cpuMicros(pid);
  let quietSince = performance.now();
  while (performance.now() - quietSince < quietMs && performance.now() < end) {
    await delay(250);
    const now = cpuMicros(pid);
    // What its timers take is no work.
    if (now - cpu > 20_000) quietSince = performance.now();
    cpu = now;
  }
}

/** Resident memory of a process and its children, in MiB; with `peak` the most that it has been. */
export function residentMiB(pid: number, peak = false): number {
  const field = peak ? /^VmHWM:\s+(\d+)/m : /^VmRSS:\s+(\d+)/m;
  let kib = 0;
  for (const each of family(pid)) kib += Number(field.exec(readFileSync(`/proc/${each}/status`, 'utf8'))?.[1] ?? 0);
  return kib / 1024;
}

/** As `residentMiB`, with memory that processes share counted in parts. */
export function proportionalMiB(pid: number): number {
  let kib = 0;
  for (const each of family(pid)) kib += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${each}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
  return kib / 1024;
}
