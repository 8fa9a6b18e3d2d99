/** What is known of a cluster's objects, each held like a file of its own: one that breaks keeps its last good version. */
import { DECODING_CODES, type DecodingCode } from '../../api/codes.ts';
import { isMapping } from '../../api/decode.ts';
import { decodeParsed } from '../../api/documents.ts';
import { KINDS, type Kind, type KindInfo } from '../../api/index.ts';
import { REVISION_LABEL } from '../../api/injection.ts';
import type { Resource } from '../../api/resource.ts';
import type { Finding } from '../../lib/finding.ts';
import { originText } from '../../lib/origin.ts';
import type { Snapshot } from '../snapshot.ts';
import { Store } from '../store.ts';
import { applied, rollsOut } from './applied.ts';
import type { ListSink } from './list.ts';
import { ObjectSource } from './object-source.ts';

/** Of which kind an object is: lists don't repeat it. */
export interface KindNames {
  readonly kind: string;
  readonly apiVersion: string;
}

/** A list that is read, and read anew: see `Reflected`. */
export interface Listing extends ListSink {
  complete(): void;
  changed(value: Record<string, unknown>): void;
  deleted(value: Record<string, unknown>): void;
}

/** Told of each object as the API server has it, with what the snapshot leaves out. */
export interface ObjectObserver {
  /** Kinds (as documents call them) of whose status it takes care: the snapshot is without it. */
  readonly statusOf: ReadonlySet<string>;
  put(names: KindNames, object: Readonly<Record<string, unknown>>): void;
  removed(names: KindNames, namespace: string, name: string): void;
}

interface Name {
  readonly name: string;
  readonly namespace: string;
}

/** kubectl keeps a copy of what it applied there. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** Groups whose objects a revision has to itself; pods and namespaces choose theirs by the same label. */
const OF_MESH = /(?:^|\.)(?:istio\.io|gateway\.networking\.(?:x-)?k8s\.io|sallyport\.dev)\//;

/** Kinds of whose status nothing is read. */
const WITHOUT_STATUS: ReadonlySet<string> = new Set(['CustomResourceDefinition', 'Deployment', 'Namespace']);

export class ClusterObjects {
  #store: Store;
  /** By the key under which the store has it. */
  readonly #names = new Map<string, Name & { readonly of: KindNames }>();
  /** Of other revisions: whoever observes is told of them, and nobody else. */
  readonly #others = new Map<string, Name & { readonly of: KindNames }>();
  readonly #reports = new Set<string>();
  readonly #observer: ObjectObserver | undefined;
  readonly #complete: boolean;
  readonly #revision: string | undefined;
  #order: readonly string[] | undefined;

  /**
   * @param complete see `Snapshot`
   * @param revision of the control plane for which objects count: those of others do not, as in Istio; undefined: all do
   */
  constructor(observer?: ObjectObserver, complete = true, revision?: string) {
    this.#revision = revision;
    this.#observer = observer;
    this.#complete = complete;
    this.#store = new Store(complete);
  }

  /** What a snapshot holds, to be changed apart from it. */
  static of(snapshot: Snapshot): ClusterObjects {
    const objects = new ClusterObjects(undefined, snapshot.complete);
    objects.#store = Store.after(snapshot);
    for (const resource of snapshot.all()) {
      if (resource.derivedFrom) continue;
      const { kind, metadata, valid } = resource;
      const { name, namespace } = metadata;
      const key = keyOfResource(resource);
      // What stands in for one that broke is in force.
      const good = valid ? undefined : snapshot.get(kind, namespace, name);
      if (good) {
        objects.#store.adopt(key, good);
        objects.#store.set(key, { resources: [resource], findings: [] });
      } else objects.#store.adopt(key, resource);
      objects.#names.set(key, { of: resource, name, namespace });
    }
    const made: ReadonlySet<string> = new Set<string>([...OF_DERIVING, 'SP0010' satisfies DecodingCode]);
    objects.report(
      'what was read',
      snapshot.findings.filter(({ code }) => !made.has(code)),
    );
    return objects;
  }

  /**
   * Takes an object as the API server has it; returns its key.
   * @param calledThere its name in the cluster, where that is another
   */
  put(value: Record<string, unknown>, names: KindNames, calledThere?: string): string {
    const object = slim(value, names, WITHOUT_STATUS.has(names.kind) || this.#observer?.statusOf.has(names.kind));
    const { name, namespace } = object.metadata;
    const key = keyOf(names, namespace, name);
    if (this.#isAnothers(names, object.metadata.labels)) {
      this.#remove(key);
      this.#others.set(key, { of: names, name, namespace });
      this.#observer?.put(names, value);
      return key;
    }
    this.#others.delete(key);
    const source = new ObjectSource(originText({ kind: names.kind, namespace, name: calledThere ?? name }));
    this.#store.set(key, decodeParsed(object, source));
    if (!this.#names.has(key)) {
      this.#names.set(key, { of: names, name, namespace });
      this.#order = undefined;
    }
    this.#observer?.put(names, value);
    return key;
  }

  /** Of another revision's control plane, which alone it is in force for. */
  #isAnothers({ apiVersion }: Pick<KindNames, 'apiVersion'>, labels: unknown): boolean {
    const said = isMapping(labels) ? labels[REVISION_LABEL] : undefined;
    return this.#revision !== undefined && said !== undefined && said !== this.#revision && OF_MESH.test(apiVersion);
  }

  /** The objects of one list, each put as it comes; those that were in it before and are not now are gone when it is complete. */
  listing(names: KindNames, calledThere?: string): Listing {
    const before = new Set<string>();
    let now = new Set<string>();
    return {
      object: (value) => void now.add(this.put(value, names, calledThere)),
      restarted: () => {
        // What was put is there all the same, unless the list that begins now says otherwise.
        for (const key of now) before.add(key);
        now = new Set();
      },
      complete: () => {
        for (const key of before) if (!now.has(key)) this.#remove(key);
        before.clear();
      },
      changed: (value) => void now.add(this.put(value, names, calledThere)),
      deleted: (value) => {
        const { name, namespace } = slim(value, names).metadata;
        const key = keyOf(names, namespace, name);
        now.delete(key);
        this.#remove(key);
      },
    };
  }

  /** Forgets an object. */
  delete(names: KindNames, namespace: string, name: string): void {
    this.#remove(keyOf(names, namespace, name));
  }

  #remove(key: string): void {
    this.#store.delete(key);
    const known = this.#names.get(key) ?? this.#others.get(key);
    if (!known) return;
    this.#names.delete(key);
    this.#others.delete(key);
    this.#order = undefined;
    this.#observer?.removed(known.of, known.namespace, known.name);
  }

  /** What can't be read; an empty list where it can be again. */
  report(about: string, findings: readonly Finding[]): void {
    const key = reportOf(about);
    if (findings.length > 0) {
      this.#store.set(key, { resources: [], findings });
      this.#reports.add(key);
    } else if (this.#reports.delete(key)) this.#store.delete(key);
  }

  hasReported(about: string): boolean {
    return this.#reports.has(reportOf(about));
  }

  /**
   * Lays files over the cluster, as if they were applied: an object that is there already keeps its age, what the API server gave it, and what its
   * controllers say of it. One that is invalid would be refused, and changes nothing.
   */
  layOver(files: Snapshot): void {
    const there = new Map(
      this.snapshot()
        .all()
        .flatMap((each) => (each.derivedFrom ? [] : [[keyOfResource(each), each] as const])),
    );
    for (const resource of files.all()) {
      if (resource.derivedFrom) continue;
      const key = keyOfResource(resource);
      if (this.#isAnothers(resource, resource.metadata.labels)) {
        this.#remove(key);
        continue;
      }
      const before = there.get(key);
      this.#store.set(key, { resources: [applied(resource, before)], findings: [] });
      if (resource.kind === 'Deployment' && rollsOut(resource, before)) this.report(`pods of ${key}`, [podsToCome(resource)]);
      const { name, namespace } = resource.metadata;
      if (!this.#names.has(key)) this.#names.set(key, { of: resource, name, namespace });
    }
    this.#order = undefined;
    this.report(
      'files',
      files.findings.filter(({ code }) => !OF_DERIVING.has(code)),
    );
  }

  /** As the API server lists them; files have an order of their own. */
  #inOrder(): readonly string[] {
    const named = [...this.#names];
    if (this.#complete) named.sort(([, a], [, b]) => compare(a.name, b.name) || compare(a.namespace, b.namespace));
    return named.map(([key]) => key);
  }

  snapshot(): Snapshot {
    this.#order ??= this.#inOrder();
    return this.#store.snapshot([...this.#reports, ...this.#order]);
  }
}

/** By group and kind: the versions of an object are one object. */
export function keyOf({ kind, apiVersion }: Pick<KindNames, 'kind' | 'apiVersion'>, namespace: string, name: string): string {
  return `${kind}.${apiVersion.includes('/') ? apiVersion.split('/')[0] : ''} ${namespace}/${name}`;
}

function keyOfResource({ kind, apiVersion, metadata }: Resource): string {
  const { name: written = kind }: KindInfo = KINDS[kind as Kind];
  return keyOf({ kind: written, apiVersion }, metadata.namespace, metadata.name);
}

/** What converting the Gateway API reports: it is converted anew, beside the cluster's objects. */
const OF_DERIVING: ReadonlySet<string> = new Set(['SP0012', 'SP0013', 'SP0014', 'SP0018', 'SP0019'] satisfies DecodingCode[]);

/** What is known of an object that can't be read: why not, and that nothing is proved beside it. */
export function notRead(
  kind: string,
  message: string,
  of: Partial<Name> = {},
  level: Finding['level'] = DECODING_CODES.SP0016.level,
): Finding {
  const { name = '', namespace = '' } = of;
  return { code: 'SP0016', level, message, origin: { kind, namespace, name } };
}

/** No answer holds for pods that there are not yet. */
function podsToCome({ metadata: { name, namespace } }: Resource): Finding {
  const message = 'its pods are not there yet as it says them: what they call, and what calls to them do, is known once it is rolled out';
  return notRead('Deployment', message, { name, namespace });
}

interface Slim {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Name & Record<string, unknown>;
}

/** Without what nobody reads, which is most of a Pod. */
function slim(value: Record<string, unknown>, { kind, apiVersion }: KindNames, withoutStatus = false): Slim {
  const { status, ...rest } = value;
  const metadata = isMapping(value.metadata) ? value.metadata : {};
  const { name, namespace, labels, annotations, creationTimestamp, generation } = metadata;
  const { [LAST_APPLIED]: _, ...said } = isMapping(annotations) ? annotations : {};
  return {
    ...rest,
    ...(status !== undefined && !withoutStatus && { status }),
    kind,
    apiVersion,
    metadata: {
      name: typeof name === 'string' ? name : '',
      namespace: typeof namespace === 'string' ? namespace : '',
      ...(isMapping(labels) && { labels }),
      annotations: said,
      ...(typeof creationTimestamp === 'string' && { creationTimestamp }),
      ...(typeof generation === 'number' && { generation }),
    },
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function reportOf(about: string): string {
  return `report ${about}`;
}
