/** Whether anything inside was called. */
import { existsSync, readFileSync } from 'node:fs';

/** tcp_states.h */
const LISTEN = '0A';

/**
 * Of this process's network namespace: no connection is open, waits to be accepted or has just ended, and no datagram waits. Where nobody has accepted or
 * read yet, nobody was called. What cannot be read is not quiet.
 */
export function isQuiet(folder = '/proc/self/net'): boolean {
  try {
    return socketsIn(folder, 'tcp').every(isIdleListener) && socketsIn(folder, 'udp').every(isEmpty);
  } catch {
    return false;
  }
}

/** The columns of proc_pid_net(5), a socket each. Without IPv6 the kernel has no list of it. */
function socketsIn(folder: string, protocol: string): string[][] {
  const lists = [`${folder}/${protocol}`, `${folder}/${protocol}6`].filter((file, i) => i === 0 || existsSync(file));
  return lists.flatMap((file) =>
    readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/)),
  );
}

/** Of a socket that listens, the second number is how many connections wait. */
function isIdleListener([, , , state, queues]: readonly string[]): boolean {
  return state === LISTEN && /:0+$/.test(queues ?? '');
}

/** The second number is how many bytes wait; the last column, how many datagrams found no room. */
function isEmpty(columns: readonly string[]): boolean {
  return /:0+$/.test(columns[4] ?? '') && columns.at(-1) === '0';
}
