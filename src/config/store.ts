import { DECODING_CODES } from '../api/codes.ts';
import type { Decoded } from '../api/documents.ts';
import type { Kind, ResourceOf } from '../api/index.ts';
import { originOf, type Resource } from '../api/resource.ts';
import { deriveFromGatewayApi, type GatewayApi } from '../gateway-api/index.ts';
import { type Finding, formatPosition } from '../lib/finding.ts';
import { keepContent, keepList } from '../lib/same.ts';
import { deriveFromPolicies, type PolicyObjects } from '../policy/index.ts';
import { adopted, type Entry, type Holding, keptAlone, readAgain } from './holding.ts';
import { Names } from './names.ts';
import { numberInOrder } from './order.ts';
import type { Snapshot } from './snapshot.ts';
import { steadyNow } from './steady-clock.ts';
import { getIn, listIn, type Tables, tablesOf } from './tables.ts';

/** What the next snapshot is built from. */
interface Built {
  readonly snapshot: TableSnapshot;
  /** What the files say, without what is derived from it. */
  readonly written: Tables;
  readonly derived: GatewayApi;
  readonly policies: PolicyObjects;
}

/** Of snapshots, for stores that go on from them. */
const builtOf = new WeakMap<Snapshot, Built>();

/**
 * Holds what every file said last and builds snapshots of it. An object or a file that breaks leaves the last good version of its objects
 * in force. Ages follow `creationTimestamp`; objects without one are the youngest, in the order of their files and documents.
 *
 * A snapshot shares with the one before all that did not change: each object that says the same, each list with the same members.
 */
export class Store {
  readonly #holdings = new Map<string, Holding>();
  readonly #names = new Names();
  readonly #complete: boolean;
  readonly #now: () => number;
  #built: Built | undefined;

  /**
   * @param complete whether all that there is will be in it: see `Snapshot`
   * @param now what time it is for objects that end, ms since the epoch
   */
  constructor(complete = false, now: () => number = steadyNow) {
    this.#complete = complete;
    this.#now = now;
  }

  /** One without files, whose snapshots share with this one all that is the same. */
  static after(snapshot: Snapshot): Store {
    const store = new Store(snapshot.complete);
    store.#built = builtOf.get(snapshot);
    return store;
  }

  /** Has `file` hold an object of a snapshot, as it is there. */
  adopt(file: string, resource: ResourceOf<Kind>): void {
    const holding = adopted(resource);
    this.#names.replace(this.#holdings.get(file), holding);
    this.#holdings.set(file, holding);
  }

  /** Replaces what `file` holds. */
  set(file: string, decoded: Decoded): void {
    const before = this.#holdings.get(file);
    const holding = readAgain(decoded, before);
    this.#names.replace(before, holding);
    this.#holdings.set(file, holding);
  }

  /** What was last set for `file`. */
  decoded(file: string): Decoded | undefined {
    return this.#holdings.get(file)?.decoded;
  }

  /** Forgets a file and its objects. */
  delete(file: string): void {
    this.#names.replace(this.#holdings.get(file), undefined);
    this.#holdings.delete(file);
  }

  /** The names under which something is held, in the order in which they were set first. */
  files(): readonly string[] {
    return [...this.#holdings.keys()];
  }

  /** Whether some object has ended since the last snapshot was built. */
  isOver(): boolean {
    return this.#built !== undefined && this.#now() >= this.#built.policies.until;
  }

  /** Builds the snapshot of this moment; `files` gives the order of files where it is not that of `set`. */
  snapshot(files: readonly string[] = this.files()): Snapshot {
    const before = this.#built;
    const { sequence, inForce, present, findings } = this.#collect(files);
    const aged = byAge(sequence);
    numberInOrder(aged);
    for (const entry of aged) if (entry.resource.order !== entry.order) entry.resource = { ...entry.resource, order: entry.order! };
    const resources = (chosen: ReadonlySet<Entry> | undefined) =>
      (chosen ? aged.filter((entry) => chosen.has(entry)) : aged).map(({ resource }) => resource);
    const written = tablesOf(resources(inForce), before?.written);
    const derived = deriveFromGatewayApi(
      {
        complete: this.#complete,
        list: (kind) => listIn(written, kind),
        get: (kind, namespace, name) => getIn(written, kind, namespace, name),
      },
      before?.derived,
    );
    const now = this.#now();
    const policies = deriveFromPolicies(listIn(written, 'EgressPolicy'), now, before?.policies);
    const made = [...policies.resources, ...derived.resources];
    const snapshot = new TableSnapshot(
      (before?.snapshot.version ?? 0) + 1,
      keepList(before?.snapshot.all(), [...resources(present), ...made]),
      withDerived(written, made, before?.snapshot.tables),
      keepContent(before?.snapshot.findings, [...findings, ...policies.findings, ...derived.findings]),
      { complete: this.#complete, asOf: now, until: policies.until },
    );
    this.#built = { snapshot, written, derived, policies };
    builtOf.set(snapshot, this.#built);
    return snapshot;
  }

  /** Goes through the files in their order. The first object of a name counts, the others are findings. */
  #collect(files: readonly string[]): Collected {
    const findings: Finding[] = [];
    const sequence: Entry[] = [];
    const broken = new Set<Entry>();
    const standIns = new Set<Entry>();
    const first = new Map<string, Entry>();
    /** The object of the same name that came before, if one did. */
    const earlierThan = (entry: Entry): Entry | undefined => {
      if (!this.#names.isShared(entry.key)) return undefined;
      const earlier = first.get(entry.key);
      if (!earlier) first.set(entry.key, entry);
      return earlier;
    };
    for (const file of files) {
      const holding = this.#holdings.get(file);
      if (!holding) continue;
      findings.push(...holding.findings);
      const kept = new Map(holding.kept.map((entry) => [entry.key, entry]));
      for (const entry of holding.entries) {
        const earlier = earlierThan(entry);
        if (earlier) {
          findings.push(duplicate(entry.resource, earlier.resource));
          continue;
        }
        if (!entry.resource.valid) {
          broken.add(entry);
          const good = kept.get(entry.key);
          if (good) {
            standIns.add(good);
            sequence.push(good);
          }
        }
        sequence.push(entry);
      }
      for (const entry of keptAlone(holding)) if (!earlierThan(entry)) sequence.push(entry);
    }
    const without = (some: ReadonlySet<Entry>) => (some.size > 0 ? new Set(sequence.filter((entry) => !some.has(entry))) : undefined);
    return { sequence, inForce: without(broken), present: without(standIns), findings };
  }
}

interface Collected {
  /** Every object once, those that are broken beside those that stand in for them. */
  readonly sequence: readonly Entry[];
  /** Those of the sequence that count; undefined: all of them. */
  readonly inForce: ReadonlySet<Entry> | undefined;
  /** Those of the sequence that the files hold now, or held when they could be read last; undefined: all of them. */
  readonly present: ReadonlySet<Entry> | undefined;
  readonly findings: readonly Finding[];
}

function duplicate(resource: Resource, earlier: Resource): Finding {
  return {
    code: 'SP0009',
    level: DECODING_CODES.SP0009.level,
    message: `the object stands at ${formatPosition(earlier.source.position())} already, which is in force; remove or rename one`,
    origin: originOf(resource),
    position: resource.source.position(),
  };
}

/** Sorted, oldest first. */
function byAge(entries: readonly Entry[]): readonly Entry[] {
  if (entries.every(({ born }) => born === Number.POSITIVE_INFINITY)) return entries;
  return entries.toSorted((a, b) => (a.born === b.born ? 0 : a.born - b.born));
}

/** A derived object stands behind what was written of the same age. A kind of which none is derived has the table of those that are written. */
function withDerived(written: Tables, derived: readonly ResourceOf<Kind>[], before: Tables | undefined): Tables {
  if (derived.length === 0) return written;
  const kinds = [...new Set(derived.map(({ kind }) => kind))];
  const both = kinds.flatMap((kind) => [...listIn(written, kind), ...derived.filter((resource) => resource.kind === kind)]);
  return new Map([
    ...written,
    ...tablesOf(
      both.sort((a, b) => a.order - b.order),
      before,
    ),
  ]);
}

class TableSnapshot implements Snapshot {
  readonly version: number;
  readonly findings: readonly Finding[];
  readonly complete: boolean;
  readonly asOf: number;
  readonly until: number;
  readonly tables: Tables;
  readonly #every: readonly ResourceOf<Kind>[];

  constructor(
    version: number,
    every: readonly ResourceOf<Kind>[],
    tables: Tables,
    findings: readonly Finding[],
    { complete, asOf, until }: Pick<TableSnapshot, 'complete' | 'asOf' | 'until'>,
  ) {
    this.version = version;
    this.#every = every;
    this.tables = tables;
    this.findings = findings;
    this.complete = complete;
    this.asOf = asOf;
    this.until = until;
  }

  list<K extends Kind>(kind: K): readonly ResourceOf<K>[] {
    return listIn(this.tables, kind);
  }

  get<K extends Kind>(kind: K, namespace: string, name: string): ResourceOf<K> | undefined {
    return getIn(this.tables, kind, namespace, name);
  }

  all(): readonly ResourceOf<Kind>[] {
    return this.#every;
  }
}
