/**
 * Files that a user names. A FIFO waits for a writer that may never come, and a device such as /dev/zero never ends: whoever reads one hangs, so that they
 * are errors at once. What a shell has opened for this process (`<(command)`, /dev/stdin) is read as it is.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats, statSync } from 'node:fs';
import { messageOf, SallyportError } from './errors.ts';

const DESCRIPTOR = /^\/(?:dev\/(?:fd\/\d+|stdin)|proc\/self\/fd\/\d+)$/;

type Kind = Pick<Stats, 'isFile' | 'isFIFO' | 'isSocket' | 'isDirectory'>;

/** What a path is instead of a file, e.g. `a named pipe, not a file`; undefined if it can be read. */
export function irregularity(path: string, stats: Kind): string | undefined {
  if (stats.isFile() || DESCRIPTOR.test(path)) return undefined;
  const what = stats.isFIFO() ? 'a named pipe' : stats.isSocket() ? 'a socket' : stats.isDirectory() ? 'a folder' : 'a device';
  return `${what}, not a file`;
}

/** For `open`: a FIFO that has taken a file's place since it was looked at does not hold anybody up. */
export function readFlags(path: string): number {
  return DESCRIPTOR.test(path) ? constants.O_RDONLY : constants.O_RDONLY | constants.O_NONBLOCK;
}

/** Throws what the system throws, and `not-a-file`. */
export function checkRegular(path: string, stats: Kind = statSync(path)): void {
  const what = irregularity(path, stats);
  if (what !== undefined) throw new SallyportError('not-a-file', `${path} is ${what}`);
}

/** The bytes of a file that a user has named. Throws what the system throws, and `not-a-file`. */
export function readRegularFile(path: string): Buffer {
  checkRegular(path);
  const fd = openSync(path, readFlags(path));
  try {
    checkRegular(path, fstatSync(fd));
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

export function readRegularText(path: string): string {
  return readRegularFile(path).toString('utf8');
}

/** The same for a file without which there is no going on. @throws SallyportError `file-unreadable` */
export function readNeededText(path: string): string {
  try {
    return readRegularText(path);
  } catch (cause) {
    throw new SallyportError('file-unreadable', `${path} cannot be read: ${messageOf(cause)}`, { cause });
  }
}
