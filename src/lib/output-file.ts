/** Files that are written for somebody: never a device or a FIFO, which would hold whoever writes up. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeFileSync } from 'node:fs';
import { messageOf, SallyportError } from './errors.ts';
import { irregularity } from './regular-file.ts';

/** A command must not find out that its report has nowhere to go when it is over. @throws SallyportError `report-unwritable` */
export function checkWritable(option: string, file: string): void {
  try {
    closeSync(openOutput(file));
  } catch (error) {
    throw new SallyportError('report-unwritable', `${option} ${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** Throws what opening or writing throws. @param append to what is there; else it is replaced */
export function writeOutput(file: string, text: string, { append }: { readonly append: boolean }): void {
  const fd = openOutput(file);
  try {
    if (!append) ftruncateSync(fd);
    writeFileSync(fd, text);
  } finally {
    closeSync(fd);
  }
}

/** Waits for no reader of what may be there. */
function openOutput(file: string): number {
  const fd = openSync(file, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NONBLOCK, 0o666);
  const what = irregularity(file, fstatSync(fd));
  if (what === undefined) return fd;
  closeSync(fd);
  throw new Error(`it is ${what}`);
}
