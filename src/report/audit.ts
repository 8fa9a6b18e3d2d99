/** What `audit verify` says of an audit. */
import type { Verdict } from '../audit/chain/verify.ts';
import { printableLine } from '../lib/printable.ts';

export interface Judged {
  readonly fine: boolean;
  /** Nothing is asked of the end. */
  readonly open: boolean;
  /** The keys that may have signed were given. */
  readonly vouched: boolean;
}

export function auditText(verdict: Verdict, { fine, open, vouched }: Judged): string {
  const { problems, more, notes, segments, lines, calls, head, signed, ended } = verdict;
  const after = head && head.seq - (signed?.seq ?? 0);
  const said = [
    ...problems.map(({ segment, line, message }) => `wrong: segment ${segment}${line > 0 ? `, its line ${line}` : ''}: ${message}`),
    ...(more > 0 ? [`and ${more} more`] : []),
    ...notes.map((note) => `note: ${note}`),
    `segments: ${segments}, lines: ${lines} (calls: ${calls})`,
    ...(signed ? [`signed up to line ${signed.seq} at ${signed.time} by ${signed.key}`] : ['nothing is signed']),
    ...(ended
      ? []
      : [
          `the end is open: ${after ?? 0} lines after the last signature; whether others followed, and were cut off, the files cannot tell (--expect can)${open ? '' : ': wrong without --open'}`,
        ]),
    ...(vouched ? [] : ['who signed is not known: name the public key with --key']),
    fine ? 'whole' : 'not whole',
  ];
  // What a chain says stays within its line.
  return said.map((line) => `${printableLine(line)}\n`).join('');
}
