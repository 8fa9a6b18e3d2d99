/** What the Kubernetes API answers when it does not do what was asked. */
import { isMapping } from '../../api/decode.ts';
import { SallyportError } from '../../lib/errors.ts';
import { printable } from '../../lib/printable.ts';

/** An answer of the API server that is an error. Its code is `cluster-` and the status' meaning. */
export class ApiError extends SallyportError {
  /** HTTP status. */
  readonly status: number;
  /** ms after which the server wants to be asked again, where it said so. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, message: string, retryAfterMs?: number) {
    super(CODES.get(status) ?? 'cluster-refused', message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

const CODES: ReadonlyMap<number, string> = new Map([
  [401, 'cluster-unauthorized'],
  [403, 'cluster-forbidden'],
  [404, 'cluster-not-found'],
  [409, 'cluster-conflict'],
  [410, 'cluster-expired'],
  [429, 'cluster-busy'],
]);

/** What a `Status` object says, or the beginning of a body that is none. */
export function statusText(body: unknown, raw: string): string {
  if (isMapping(body) && typeof body.message === 'string') return printable(body.message);
  return printable(raw.slice(0, 200));
}

/** Whether what failed may succeed when it is asked again, without anybody changing anything. */
export function mayPass(error: unknown): boolean {
  if (error instanceof ApiError) return error.status === 429 || error.status >= 500;
  return isUnreachable(error);
}

/** Whether the server could not be reached, or the connection broke off. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof SallyportError && error.code === 'cluster-unreachable';
}

/** Whether the error is an answer with this status. */
export function isStatus(error: unknown, status: number): error is ApiError {
  return error instanceof ApiError && error.status === status;
}
