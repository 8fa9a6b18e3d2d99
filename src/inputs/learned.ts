/** What is learned from recorded calls, beside the configuration that is read for it. */
import type { Observation } from '../learn/observed.ts';
import { learn } from '../prove/learned.ts';
import { besideFiles } from '../prove/learned-beside.ts';
import type { Proposal } from '../prove/proposal.ts';
import { type BrokenCall, deniedBy } from '../prove/replay.ts';
import type { ReadFilesOptions } from './files.ts';
import type { Reader } from './reader.ts';

export type LearnAnswer =
  | { readonly kind: 'proposal'; readonly proposal: Proposal }
  /** The recorded calls that a configuration refuses. */
  | { readonly kind: 'denied'; readonly broken: readonly BrokenCall[] };

export interface LearnFrom extends ReadFilesOptions {
  readonly namespace: string;
  /** Names with a common suffix from which a wildcard is written. */
  readonly wildcardAfter: number;
  /** What is there already. */
  readonly file: readonly string[];
  /** The configuration that may refuse what was recorded. */
  readonly wouldDeny: readonly string[];
  /** The workload that calls where the log names no address of one, as `namespace/name`. */
  readonly from?: string;
}

/** What allows the recorded calls, beside the files that are there already. */
export async function proposal(reader: Reader, observation: Observation, options: LearnFrom): Promise<LearnAnswer> {
  const { file, from, namespace, wildcardAfter } = options;
  if (file.length === 0) return { kind: 'proposal', proposal: learn(observation, { namespace, wildcardAfter }) };
  const { snapshot, mesh } = await reader.mesh(file, options);
  const { beside, callers } = besideFiles(snapshot, mesh, from);
  return { kind: 'proposal', proposal: learn(observation, { namespace, wildcardAfter, callers }, beside) };
}

export async function wouldDeny(reader: Reader, observation: Observation, options: LearnFrom): Promise<LearnAnswer> {
  const files = await reader.simulated(options.wouldDeny, options);
  return { kind: 'denied', broken: deniedBy(files, observation.calls, options.from) };
}
