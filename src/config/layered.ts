import type { Finding } from '../lib/finding.ts';
import type { Snapshot } from './snapshot.ts';

/** A snapshot with the objects of another that it does not have itself; they are the youngest. */
export class Layered implements Snapshot {
  readonly #base: Snapshot;
  readonly #extra: Snapshot;

  constructor(base: Snapshot, extra: Snapshot) {
    this.#base = base;
    this.#extra = extra;
  }

  get version(): number {
    return this.#base.version;
  }

  get findings(): readonly Finding[] {
    return [...this.#base.findings, ...this.#extra.findings];
  }

  list: Snapshot['list'] = (kind) => {
    const base = this.#base.list(kind);
    const first = this.#base.all().length;
    const extra = this.#extra.list(kind).filter(({ metadata }) => !this.#base.get(kind, metadata.namespace, metadata.name));
    return extra.length === 0 ? base : [...base, ...extra.map((resource) => ({ ...resource, order: first + resource.order }))];
  };

  get: Snapshot['get'] = (kind, namespace, name) => this.#base.get(kind, namespace, name) ?? this.#extra.get(kind, namespace, name);

  all: Snapshot['all'] = () => [
    ...this.#base.all(),
    ...this.#extra.all().filter(({ kind, metadata }) => !this.#base.get(kind, metadata.namespace, metadata.name)),
  ];
}
