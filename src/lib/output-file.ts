/** Files that are written for somebody: never a device or a FIFO, which would hold whoever writes up. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readlinkSync, realpathSync, writeFileSync } from 'node:fs';
import { messageOf, SallyportError } from './errors.ts';
import { irregularity } from './regular-file.ts';

/** Where a file really is: links that are put there later lead elsewhere. */
export type Place = string;

/** A command must not find out that its report has nowhere to go when it is over. @throws SallyportError `report-unwritable` */
export function checkWritable(option: string, file: string): Place {
  try {
    const fd = openOutput(file);
    try {
      return placeOf(fd, file);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new SallyportError('report-unwritable', `${option} ${file}: ${messageOf(error)}`, { cause: error });
  }
}

export interface HowWritten {
  /** To what is there; else it is replaced. */
  readonly append: boolean;
  /** Where it was when it was checked; elsewhere nothing is written. */
  readonly place?: Place | undefined;
}

/** Throws what opening or writing throws. */
export function writeOutput(file: string, text: string, { append, place }: HowWritten): void {
  const fd = openOutput(file);
  try {
    const now = placeOf(fd, file);
    if (place !== undefined && now !== place) throw new Error(`it leads to ${now} now, where it led to ${place}`);
    if (!append) ftruncateSync(fd);
    writeFileSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

function placeOf(fd: number, file: string): Place {
  return process.platform === 'linux' ? readlinkSync(`/proc/self/fd/${fd}`) : realpathSync(file);
}

/** Waits for no reader of what may be there. */
function openOutput(file: string): number {
  const fd = openSync(file, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NONBLOCK, 0o666);
  const what = irregularity(file, fstatSync(fd));
  if (what === undefined) return fd;
  closeSync(fd);
  throw new Error(`it is ${what}`);
}
