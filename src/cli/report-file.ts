/** Files that commands write about what was called. */
import type { ReportFormat } from '../control/contained/report.ts';
import { messageOf } from '../lib/errors.ts';
import { type Place, writeOutput } from '../lib/output-file.ts';
import { say } from './say.ts';

export const REPORT = [
  '--report <file>',
  'what was called, as JSON (.json), or as Markdown that is added to the file; instead of a summary on stderr',
] as const;

/** Markdown is added: a CI job's summary may hold that of other steps. @param place as `checkWritable` found it */
export function writeReport(file: string, text: (format: ReportFormat) => string, place?: Place): void {
  const format = file.endsWith('.json') ? 'json' : 'markdown';
  writeOrSay(file, text(format), { append: format === 'markdown', place });
}

/** The exit code is another's, also where the file cannot be written. */
export function writeOrSay(...[file, ...how]: Parameters<typeof writeOutput>): void {
  try {
    writeOutput(file, ...how);
  } catch (error) {
    say(`${file} cannot be written: ${messageOf(error)}`);
  }
}
