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
  try {
    const stat = readFileSync(`${proc}/self/stat`, 'utf8');
    // After the name, which may have spaces: state, parent, group, session, terminal, and the group in the terminal's foreground.
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return group === foreground;
  } catch {
    return process.stdin.isTTY === true;
  }
}

const FORWARDED = ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'] as const;
/** Those that a terminal sends to all of its foreground. */
const OF_TERMINAL: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT', 'SIGHUP']);

/** Keeps this process alive at signals and passes them on, except where the command has them from the terminal already. Returns what ends it. */
export function forwardSignals(forward: (signal: NodeJS.Signals) => void): () => void {
  const onSignal = (signal: NodeJS.Signals) => {
    if (!OF_TERMINAL.has(signal) || !isForeground()) forward(signal);
  };
  for (const signal of FORWARDED) process.on(signal, onSignal);
  return () => {
    for (const signal of FORWARDED) process.off(signal, onSignal);
  };
}
