/** A change that no test can notice, and why. */
export interface Equivalent {
  readonly file: string;
  /** The line that it is in, without the space round it. */
  readonly line: string;
  /** As the report says it. */
  readonly change: string;
  readonly why: string;
}

export const EQUIVALENT: readonly Equivalent[] = [];
