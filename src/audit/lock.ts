/** One process writes a chain: the folder is locked (flock(2)) for as long as the process lives, however it ends. */

import { openSync } from 'node:fs';
import { SallyportError } from '../lib/errors.ts';
import { libc } from '../lib/libc.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;

/** Returns the descriptor that holds the lock. Throws `audit-in-use`, and what opening the folder throws. */
export function lockFolder(folder: string): number {
  const fd = openSync(folder, 'r');
  const flock = libc().func('int flock(int fd, int operation)') as (fd: number, operation: number) => number;
  if (flock(fd, LOCK_EX | LOCK_NB) !== 0)
    throw new SallyportError('audit-in-use', `another process writes the audit in ${folder}: give each a folder of its own`);
  return fd;
}
