/** What `verify` answers. */
import type { Verdict } from '../simulate/verify.ts';

/** A verdict about what one adversary can do. */
export interface AdversaryVerdict extends Verdict {
  /** `captured`: an application all of whose traffic its sidecar takes. `bypassing`: one that goes round its sidecar. */
  readonly adversary: 'captured' | 'bypassing';
  /** What lets the bypassing one out; always empty for the captured one. */
  readonly openings: readonly Opening[];
}

/** What workloads can do that go round their sidecars. */
export interface Opening {
  /** `namespace/name` each. */
  readonly workloads: readonly string[];
  /** What each of them does, and why it can: the rest of the sentence. */
  readonly how: string;
  /** Whether NetworkPolicies could close it. */
  readonly closable: boolean;
}
