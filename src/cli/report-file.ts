/** Files that commands write about what was called. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeFileSync } from 'node:fs';
import type { ReportFormat } from '../control/contained/report.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { irregularity } from '../lib/regular-file.ts';
import { say } from './say.ts';

export const REPORT = [
  '--report <file>',
  'what was called, as JSON (.json), or as Markdown that is added to the file; instead of a summary on stderr',
] as const;

/** A command must not find out that its report has nowhere to go when it is over. Throws `report-unwritable`. */
export function checkWritable(option: string, file: string): void {
  try {
    closeSync(openOutput(file));
  } catch (error) {
    throw new SallyportError('report-unwritable', `${option} ${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** Waits for no reader of what the command may have put there. */
function openOutput(file: string): number {
  const fd = openSync(file, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NONBLOCK, 0o666);
  const what = irregularity(file, fstatSync(fd));
  if (what === undefined) return fd;
  closeSync(fd);
  throw new Error(`it is ${what}`);
}

/** The exit code is another's, also where the file cannot be written. */
export function writeOutput(file: string, text: string, { append }: { readonly append: boolean }): void {
  try {
    const fd = openOutput(file);
    if (!append) ftruncateSync(fd);
    writeFileSync(fd, text);
    closeSync(fd);
  } catch (error) {
    say(`${file} cannot be written: ${messageOf(error)}`);
  }
}

/** Markdown is added: a CI job's summary may hold that of other steps. */
export function writeReport(file: string, text: (format: ReportFormat) => string): void {
  const format = file.endsWith('.json') ? 'json' : 'markdown';
  writeOutput(file, text(format), { append: format === 'markdown' });
}
