/** What a controller that writes knows of a cluster's objects beyond the snapshot: their statuses, ids and versions. */
import { isMapping } from '../api/decode.ts';
import type { KindNames, ObjectObserver } from '../config/kubernetes/cluster-objects.ts';
import { STATUS_KINDS } from '../gateway-api/status/index.ts';
import { ISTIO_KINDS } from './paths.ts';

/** An object as the API server has it, without what nobody reads. */
export interface ObservedObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly generation?: number;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
    readonly deleted: boolean;
  };
  /** Of Services alone. */
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status: Readonly<Record<string, unknown>>;
}

/** Of these nothing but who they are, and their statuses, which are written when something is found of them. */
const NAMED_ONLY: ReadonlySet<string> = new Set([...Object.keys(ISTIO_KINDS), 'EgressPolicy']);
const SPEC_KINDS: ReadonlySet<string> = new Set(['Service']);
const KINDS = [...STATUS_KINDS, 'Service', 'Deployment', ...NAMED_ONLY];
const ISTIO_GROUP = /\.istio\.io\//;

export class ObservedObjects implements ObjectObserver {
  readonly statusOf: ReadonlySet<string> = new Set([...STATUS_KINDS, ...Object.values(ISTIO_KINDS), 'EgressPolicy']);
  readonly #kinds = new Map<string, Map<string, ObservedObject>>(KINDS.map((kind) => [kind, new Map()]));
  #changed: () => void = () => undefined;

  /** @param changed called at each change from now on */
  follow(changed: () => void): void {
    this.#changed = changed;
  }

  put(names: KindNames, object: Readonly<Record<string, unknown>>): void {
    const kind = writtenAs(names);
    const objects = this.#kinds.get(kind);
    if (!objects || !isMapping(object.metadata)) return;
    const observed = observedOf(object, object.metadata, SPEC_KINDS.has(kind));
    const key = keyOf(observed.metadata.namespace, observed.metadata.name);
    if (objects.get(key)?.metadata.resourceVersion === observed.metadata.resourceVersion) return;
    objects.set(key, NAMED_ONLY.has(kind) ? { ...observed, metadata: { ...observed.metadata, labels: {}, annotations: {} } } : observed);
    if (!NAMED_ONLY.has(kind)) this.#changed();
  }

  removed(names: KindNames, namespace: string, name: string): void {
    const kind = writtenAs(names);
    if (this.#kinds.get(kind)?.delete(keyOf(namespace, name)) && !NAMED_ONLY.has(kind)) this.#changed();
  }

  /** @param kind as `WrittenKind` */
  get(kind: string, namespace: string, name: string): ObservedObject | undefined {
    return this.#kinds.get(kind)?.get(keyOf(namespace, name));
  }

  list(kind: string): readonly ObservedObject[] {
    return [...(this.#kinds.get(kind)?.values() ?? [])];
  }
}

function writtenAs({ kind, apiVersion }: KindNames): string {
  return kind === 'Gateway' && ISTIO_GROUP.test(apiVersion) ? 'IstioGateway' : kind;
}

function observedOf(
  object: Readonly<Record<string, unknown>>,
  metadata: Readonly<Record<string, unknown>>,
  withSpec: boolean,
): ObservedObject {
  const { name, namespace, uid, resourceVersion, generation, labels, annotations, deletionTimestamp } = metadata;
  return {
    metadata: {
      name: String(name),
      namespace: String(namespace ?? ''),
      uid: String(uid ?? ''),
      resourceVersion: String(resourceVersion ?? ''),
      ...(typeof generation === 'number' && { generation }),
      labels: texts(labels),
      annotations: texts(annotations),
      deleted: deletionTimestamp !== undefined,
    },
    spec: withSpec && isMapping(object.spec) ? object.spec : {},
    status: isMapping(object.status) ? object.status : {},
  };
}

function texts(value: unknown): Readonly<Record<string, string>> {
  return isMapping(value) ? (value as Record<string, string>) : {};
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
