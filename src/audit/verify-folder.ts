/** Verifies the chain of a folder. */
import { messageOf, SallyportError } from '../lib/errors.ts';
import { ChainVerifier, type Verdict, type VerifyOptions } from './chain/verify.ts';
import { readLines, type SegmentFile, segmentsIn } from './chain-files.ts';

/** Throws `audit-unreadable`. */
export function verifyFolder(folder: string, options: VerifyOptions): Verdict {
  const verifier = new ChainVerifier(options);
  try {
    for (const file of segmentsIn(folder).filter(({ number }) => number >= options.from)) verifyFile(verifier, file);
  } catch (cause) {
    throw new SallyportError('audit-unreadable', `${folder}: ${messageOf(cause)}`, { cause });
  }
  return verifier.end();
}

function verifyFile(verifier: ChainVerifier, { number, path }: SegmentFile): void {
  verifier.segment(number);
  readLines(path, { line: (text) => verifier.line(text), tail: (bytes) => verifier.tail(bytes) });
}
