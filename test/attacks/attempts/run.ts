/** Generated attempts against `sallyport run`, and what came of them outside. Needs root, for namespaces in which every address is this machine's. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Account } from './outside.ts';
import type { WorldOptions } from './world.ts';

export interface Outcome extends Account {
  /** Of the agent. */
  readonly code: number | null;
  /** How many attempts of each way came to what, as the agent saw it. */
  readonly ways: Readonly<Record<string, number>>;
  /** Connections and datagrams that were sent and came to none of the servers. */
  readonly missed: { readonly connections: number; readonly datagrams: number };
  /** The credential stands in what `run`, or the agent, has written. */
  readonly said: boolean;
}

/** Rejects where the world could not be made. */
export async function runAttempts(options: Omit<WorldOptions, 'folder'>): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-attempts-'));
  chmodSync(folder, 0o755);
  try {
    const world = [process.execPath, join(import.meta.dirname, 'world.ts'), JSON.stringify({ ...options, folder })];
    const child = spawn('unshare', ['-n', '-m', '-p', '-f', '--mount-proc', '--kill-child', ...world], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`the world of the attempts ended with ${code}`);
    return JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The same attempts in several worlds beside each other, each with a run of its own: one run has one thread that carries traffic. */
export async function runWorlds({ first, count, ...options }: Omit<WorldOptions, 'folder'>, worlds: number): Promise<Outcome> {
  const share = Math.ceil(count / worlds);
  const firsts = Array.from({ length: Math.ceil(count / share) }, (_, i) => first + i * share);
  const end = first + count;
  const outcomes = await Promise.all(firsts.map((at) => runAttempts({ ...options, first: at, count: Math.min(share, end - at) })));
  return outcomes.reduce(together);
}

function together(one: Outcome, other: Outcome): Outcome {
  return {
    code: one.code || other.code,
    ways: summed(one.ways, other.ways),
    allowed: summed(one.allowed, other.allowed),
    leaks: [...one.leaks, ...other.leaks],
    leaked: one.leaked + other.leaked,
    connections: one.connections + other.connections,
    questions: one.questions + other.questions,
    missed: {
      // One that came to nobody is not made up for by one too many elsewhere.
      connections: Math.abs(one.missed.connections) + Math.abs(other.missed.connections),
      datagrams: Math.abs(one.missed.datagrams) + Math.abs(other.missed.datagrams),
    },
    said: one.said || other.said,
  };
}

function summed(one: Readonly<Record<string, number>>, other: Readonly<Record<string, number>>): Record<string, number> {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries([...names].map((name) => [name, (one[name] ?? 0) + (other[name] ?? 0)]));
}
