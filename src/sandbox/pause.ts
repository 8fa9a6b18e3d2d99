/** Stops what a command runs in the terminal's foreground, as a shell's Ctrl-Z does, and has it go on: meanwhile somebody else may read what is typed. */
import { readdirSync, readFileSync } from 'node:fs';

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly state: string;
}

/** A round finds those that were started during the one before. */
const MOST_ROUNDS = 10;

/**
 * Stops the descendants of a process that are in this process's own group. What is stopped already, somebody else has stopped, and it stays so.
 * @param above the process above the command, which goes on itself
 * @returns what has them go on, those below first, so that no shell takes its job for a stopped one
 */
export function pauseBelow(above: number, proc = '/proc'): () => void {
  const stopped: number[] = [];
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const fresh = running(above, proc).filter((pid) => !stopped.includes(pid));
    if (fresh.length === 0) break;
    for (const pid of fresh) if (signal(pid, 'SIGSTOP')) stopped.push(pid);
  }
  return () => {
    for (const pid of stopped.reverse()) signal(pid, 'SIGCONT');
  };
}

/** Those above come before those below. */
function running(above: number, proc: string): readonly number[] {
  const all = processes(proc);
  const own = all.find(({ pid }) => pid === process.pid)?.group;
  const below = (parent: number): Process[] => all.filter((one) => one.parent === parent).flatMap((one) => [one, ...below(one.pid)]);
  return below(above)
    .filter(({ group, state }) => group === own && state !== 'T' && state !== 'Z')
    .map(({ pid }) => pid);
}

/** Fields of proc_pid_stat(5). */
function processes(proc: string): readonly Process[] {
  return readdirSync(proc).flatMap((name): Process[] => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(`${proc}/${name}/stat`, 'utf8');
      const [state, parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return [{ pid: Number(name), parent: Number(parent), group: Number(group), state: state! }];
    } catch {
      return [];
    }
  });
}

function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}
