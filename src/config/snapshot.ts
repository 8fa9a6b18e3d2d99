import type { Kind, ResourceOf } from '../api/index.ts';
import type { Finding } from '../lib/finding.ts';

/** All resources at one moment. Immutable; built by the Store alone. */
export interface Snapshot {
  /** Grows by one with each snapshot of a Store. */
  readonly version: number;
  /** The valid objects of a kind, oldest first. */
  list<K extends Kind>(kind: K): readonly ResourceOf<K>[];
  get<K extends Kind>(kind: K, namespace: string, name: string): ResourceOf<K> | undefined;
  /** Every object that decoded at all, also the invalid ones, oldest first: for analysis. */
  all(): readonly ResourceOf<Kind>[];
  /** Whether it is all that a cluster holds: what is not in it does not exist. Files (absent or false) leave out what goes without saying. */
  readonly complete?: boolean | undefined;
  /** The moment that it was made for, ms since the epoch: objects may begin and end. */
  readonly asOf?: number | undefined;
  /** From then on it is no more what the objects say, as some of them end, ms since the epoch; Infinity or absent: they do not. */
  readonly until?: number | undefined;
  /** What decoding and validation reported. */
  readonly findings: readonly Finding[];
}

/** A snapshot with other objects: all else is what `base` says of itself, the moment that it was made for among it. */
export function withObjects(base: Snapshot, objects: Pick<Snapshot, 'list' | 'get' | 'all'>): Snapshot {
  const { version, complete, asOf, until, findings } = base;
  return { version, complete, asOf, until, findings, ...objects };
}
