import type { Kind, ResourceOf } from '../api/index.ts';
import type { Finding } from '../lib/finding.ts';
import { once } from '../lib/once.ts';
import { HIGHEST_ORDER } from './order.ts';
import type { Snapshot } from './snapshot.ts';

type Resources = readonly ResourceOf<Kind>[];

/** Lists of two layers together, by the upper one's: the same two lists give the same list again, and an object of the upper layer stays the same. */
const together = new WeakMap<readonly unknown[], { readonly base: readonly unknown[]; readonly list: readonly unknown[] }>();
const raised = new WeakMap<ResourceOf<Kind>, ResourceOf<Kind>>();

function combine<T>(base: readonly T[], extra: readonly T[], make: () => readonly T[]): readonly T[] {
  if (extra.length === 0) return base;
  const known = together.get(extra);
  if (known?.base === base) return known.list as readonly T[];
  const list = make();
  together.set(extra, { base, list });
  return list;
}

/** A snapshot with the objects of another that it does not have itself; they are the youngest. */
export class Layered implements Snapshot {
  readonly #base: Snapshot;
  readonly #extra: Snapshot;
  /** Added to the numbers of ages of what is laid over. */
  readonly #first: () => number;

  constructor(base: Snapshot, extra: Snapshot) {
    this.#base = base;
    this.#extra = extra;
    this.#first = once(() => firstAfter(base.all()));
  }

  get version(): number {
    return this.#base.version;
  }

  get complete(): boolean | undefined {
    return this.#base.complete;
  }

  get asOf(): number | undefined {
    return this.#base.asOf ?? this.#extra.asOf;
  }

  get until(): number {
    return Math.min(this.#base.until ?? Number.POSITIVE_INFINITY, this.#extra.until ?? Number.POSITIVE_INFINITY);
  }

  get findings(): readonly Finding[] {
    return combine(this.#base.findings, this.#extra.findings, () => [...this.#base.findings, ...this.#extra.findings]);
  }

  list: Snapshot['list'] = <K extends Kind>(kind: K) => {
    const [base, extra] = [this.#base.list(kind), this.#extra.list(kind)] as unknown as [Resources, Resources];
    return combine(base, extra, () => [...base, ...this.#missing(extra)]) as unknown as readonly ResourceOf<K>[];
  };

  get: Snapshot['get'] = <K extends Kind>(kind: K, namespace: string, name: string) => {
    const extra = this.#extra.get(kind, namespace, name);
    return this.#base.get(kind, namespace, name) ?? (extra && (this.#raise(extra as ResourceOf<Kind>) as unknown as ResourceOf<K>));
  };

  all: Snapshot['all'] = () => {
    const [base, extra] = [this.#base.all(), this.#extra.all()];
    return combine(base, extra, () => [...base, ...this.#missing(extra)]);
  };

  /** Those that the base does not have, as its youngest. */
  #missing(extra: Resources): Resources {
    return extra
      .filter(({ kind, metadata }) => !this.#base.get(kind, metadata.namespace, metadata.name))
      .map((resource) => this.#raise(resource));
  }

  #raise(resource: ResourceOf<Kind>): ResourceOf<Kind> {
    const order = this.#first() + resource.order;
    let made = raised.get(resource);
    if (made?.order !== order) {
      made = { ...resource, order };
      raised.set(resource, made);
    }
    return made;
  }
}

/** Far above all numbers that a store gives, so that it stays the same while objects come and go; above those of other layers too. */
function firstAfter(resources: Resources): number {
  const highest = resources.reduce((most, { order }) => Math.max(most, order), 0);
  return (Math.floor(highest / HIGHEST_ORDER) + 1) * HIGHEST_ORDER;
}
