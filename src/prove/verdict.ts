/** What `verify` answers. */
import type { Verdict } from '../simulate/verify.ts';

/** A verdict about what one adversary can do. */
export interface AdversaryVerdict extends Verdict {
  /** `captured`: an application all of whose traffic its sidecar takes. `bypassing`: one that goes round its sidecar. */
  readonly adversary: 'captured' | 'bypassing';
  /** What lets the bypassing one out, a sentence each; always empty for the captured one. */
  readonly openings: readonly string[];
}
