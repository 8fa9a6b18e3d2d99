/** A proposal of `learn`, what it is laid beside, and what was proved of it. */
import type { MeshConfig } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Proposed } from '../learn/propose.ts';
import type { Verdict } from '../simulate/verify.ts';
import type { BrokenCall, CallerOf } from './replay.ts';

/** The resources that are there already. */
export interface Beside {
  readonly snapshot: Snapshot;
  readonly mesh: MeshConfig;
  readonly callerOf: CallerOf;
}

/** What came of the recorded calls and of the statements about all others. */
export interface Check {
  /** How many calls were recorded. */
  readonly calls: number;
  readonly broken: readonly BrokenCall[];
  readonly verdicts: readonly Verdict[];
  /** False if more is allowed than was recorded, or a way round the gateway. */
  readonly proved: boolean;
}

export interface Proposal extends Check {
  readonly proposed: readonly Proposed[];
  /** What resources cannot be proposed for, and why. */
  readonly remarks: readonly string[];
}
