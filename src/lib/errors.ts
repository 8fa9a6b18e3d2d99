/**
 * The one error class of the product: a stable code for programs, a message that says what is wrong, where, and what to do.
 * Codes are lower-case words joined by dashes, e.g. `port-in-use`.
 */
export class SallyportError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'SallyportError';
    this.code = code;
  }
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Node's or the product's error code, where the thrown thing has one. */
export function codeOf(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
