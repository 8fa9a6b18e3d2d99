/**
 * Stops all that a command runs, as a shell's Ctrl-Z does, and has it go on: meanwhile somebody else may read what is typed, and nothing is written over what
 * is asked. Also what runs in the background: whoever has the terminal open may write there.
 */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { calls } from './system.ts';

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
}

/** ioctl_ns(2): a descriptor of the namespace above. */
const NS_GET_PARENT = 0xb702;

/** A round finds those that were started during the one before. */
const MOST_ROUNDS = 10;

/**
 * Stops the descendants of a process, and what is in its network namespace or in a user namespace below: those whose parents have ended have become somebody
 * else's. What is stopped already, somebody else has stopped, and it stays so.
 * @param above the process above the command, which goes on itself
 * @returns what has them go on, those below first, so that no shell takes its job for a stopped one
 */
export function pauseBelow(above: number, proc = '/proc'): () => void {
  const stopped: number[] = [];
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const fresh = [...new Set(running(above, proc))].filter((pid) => !stopped.includes(pid));
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
  const network = namespaceOf(above, 'net', proc);
  const users = new Set(
    [above, ...all.filter(({ parent }) => parent === above).map(({ pid }) => pid)].flatMap((pid) => namespaceOf(pid, 'user', proc) ?? []),
  );
  users.delete(namespaceOf('self', 'user', proc) ?? '');
  const isInside = (pid: number) =>
    pid !== above && ((network !== undefined && namespaceOf(pid, 'net', proc) === network) || isBelow(pid, users, proc));
  const inside = new Set(all.filter(({ pid }) => isInside(pid)).map(({ pid }) => pid));
  const below = (one: Process): Process[] => [one, ...all.filter(({ parent }) => parent === one.pid).flatMap(below)];
  const first = all.filter(({ pid, parent }) => parent === above || (inside.has(pid) && !inside.has(parent)));
  return first
    .flatMap(below)
    .filter(({ state }) => state !== 'T' && state !== 'Z')
    .map(({ pid }) => pid);
}

/** Undefined for a process that is gone, or not this user's. */
function namespaceOf(pid: number | 'self', kind: 'net' | 'user', proc: string): string | undefined {
  try {
    return readlinkSync(`${proc}/${pid}/ns/${kind}`);
  } catch {
    return undefined;
  }
}

/** Whether a process is in one of these user namespaces, as `ns/user` names them, or in one that was made there. */
function isBelow(pid: number, users: ReadonlySet<string>, proc: string): boolean {
  const own = namespaceOf(pid, 'user', proc);
  if (own === undefined || own === namespaceOf('self', 'user', proc)) return false;
  if (users.has(own)) return true;
  let fd: number;
  try {
    fd = openSync(`${proc}/${pid}/ns/user`, 'r');
  } catch {
    return false;
  }
  // There is no namespace above for whoever is in it, or was not let in.
  for (;;) {
    const above = calls().ioctl(fd, NS_GET_PARENT);
    closeSync(fd);
    if (above < 0) return false;
    fd = above;
    if (!users.has(`user:[${fstatSync(fd).ino}]`)) continue;
    closeSync(fd);
    return true;
  }
}

/** Fields of proc_pid_stat(5). */
function processes(proc: string): readonly Process[] {
  return readdirSync(proc).flatMap((name): Process[] => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(`${proc}/${name}/stat`, 'utf8');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return [{ pid: Number(name), parent: Number(parent), state: state! }];
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
