import type { Kind, ResourceOf } from '../api/index.ts';
import type { Finding } from '../lib/finding.ts';
import type { Snapshot } from './snapshot.ts';
import type { KindTable } from './tables.ts';

/** A snapshot in which the valid objects of one kind are others. Analysis, which asks for all, sees those that were written. */
export class Replaced implements Snapshot {
  readonly #base: Snapshot;
  readonly #kind: Kind;
  readonly #table: KindTable;

  constructor(base: Snapshot, kind: Kind, table: KindTable) {
    this.#base = base;
    this.#kind = kind;
    this.#table = table;
  }

  get version(): number {
    return this.#base.version;
  }

  get complete(): boolean | undefined {
    return this.#base.complete;
  }

  get findings(): readonly Finding[] {
    return this.#base.findings;
  }

  list<K extends Kind>(kind: K): readonly ResourceOf<K>[] {
    return kind === this.#kind ? (this.#table.list as unknown as readonly ResourceOf<K>[]) : this.#base.list(kind);
  }

  get<K extends Kind>(kind: K, namespace: string, name: string): ResourceOf<K> | undefined {
    if (kind !== this.#kind) return this.#base.get(kind, namespace, name);
    return this.#table.get(namespace, name) as ResourceOf<K> | undefined;
  }

  all(): readonly ResourceOf<Kind>[] {
    return this.#base.all();
  }
}
