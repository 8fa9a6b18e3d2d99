/** How signals of this process concern a command that it runs in its own process group. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

/** The exit code by which a shell says that a signal ended a command: 128 and the signal's number. */
export function exitCodeOf(signal: NodeJS.Signals | null): number {
  return 128 + (signal === null ? 0 : constants.signals[signal]);
}

/**
 * Whether a terminal gives what is typed (Ctrl-C) to this process's whole group: then the command has SIGINT from there, and must not get it again.
 * Elsewhere somebody sent it to this process alone.
 */
export function isForeground(proc = '/proc'): boolean {
  const stat = statOf('self', proc);
  return stat === undefined ? process.stdin.isTTY === true : stat[2] === stat[5];
}

/** Those that a command may do something about, and that somebody may send to this process instead. */
export const FORWARDED = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGWINCH'] as const;
/** Those that a terminal sends to all of its foreground. */
const OF_TERMINAL: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGWINCH']);

/** Keeps this process alive at signals, and tells of them. Returns what ends it. */
export function onSignals(tell: (signal: NodeJS.Signals) => void): () => void {
  for (const signal of FORWARDED) process.on(signal, tell);
  return () => {
    for (const signal of FORWARDED) process.off(signal, tell);
  };
}

/** Keeps this process alive at signals and passes them on, except where the command has them from the terminal already. Returns what ends it. */
export function forwardSignals(forward: (signal: NodeJS.Signals) => void): () => void {
  return onSignals((signal) => {
    if (!OF_TERMINAL.has(signal) || !isForeground()) forward(signal);
  });
}

/** What a kill(2) to a process group has given to one of its processes it has given to the others at the same moment; how long one of them may be too busy to say so, ms. */
const BUSY_MS = 10_000;

/** The signals that a process had itself, by which it knows whether the others of its group had them as well. */
export class OwnSignals {
  readonly #times = new Map<NodeJS.Signals, number[]>();
  readonly #now: () => number;

  /** @param now ms */
  constructor(now: () => number) {
    this.#now = now;
  }

  had(signal: NodeJS.Signals): void {
    this.#times.set(signal, [...this.#lately(signal), this.#now()]);
  }

  /** Whether this one came here as well; each that came counts once. */
  take(signal: NodeJS.Signals): boolean {
    const [first, ...rest] = this.#lately(signal);
    this.#times.set(signal, rest);
    return first !== undefined;
  }

  #lately(signal: NodeJS.Signals): readonly number[] {
    const since = this.#now() - BUSY_MS;
    return (this.#times.get(signal) ?? []).filter((time) => time >= since);
  }
}

/** The process group of a process; undefined for one that is gone. */
export function groupOf(pid: number, proc = '/proc'): string | undefined {
  return statOf(pid, proc)?.[2];
}

/** The fields after the name, which may have spaces: state, parent, group, session, terminal, and the group in the terminal's foreground (proc_pid_stat(5)). */
function statOf(pid: number | 'self', proc: string): readonly string[] | undefined {
  try {
    const stat = readFileSync(`${proc}/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
