/** Which failures to read something pass by themselves. */
import { codeOf } from '../lib/errors.ts';

/** Reasons of the system that pass without the file being touched. */
const PASSING: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR', 'EBUSY', 'EIO', 'ESTALE', 'ETIMEDOUT']);

/** Whether what failed may succeed later although nobody touches the file. */
export function isPassing(error: unknown): boolean {
  return PASSING.has(codeOf(error) ?? '') || (error instanceof Error && error.cause !== undefined && isPassing(error.cause));
}
