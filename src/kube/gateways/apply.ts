/** Makes what runs Gateways what it is to be: applied server-side where it is not, and taken away where no Gateway asks for it. */
import { isMapping } from '../../api/decode.ts';
import { GATEWAY_NAME_LABEL } from '../../api/gateway-api/common.ts';
import { revisionOf } from '../../api/injection.ts';
import type { ApiClient } from '../../config/kubernetes/client.ts';
import { isStatus } from '../../config/kubernetes/errors.ts';
import type { ObservedObject, ObservedObjects } from '../observed.ts';
import { pathOf, type WrittenKind } from '../paths.ts';
import { MANAGED_LABEL, managedBy, type Written } from './objects.ts';

export interface GatewayApplierOptions {
  readonly client: ApiClient;
  readonly observed: ObservedObjects;
  readonly controller: string;
  /** Whose fields are those that are applied. */
  readonly fieldManager: string;
  /** Of this control plane. */
  readonly revision: string;
  readonly leads: () => boolean;
}

/** As much of an object as it takes to know whose it is. */
interface Found {
  readonly metadata: Pick<ObservedObject['metadata'], 'namespace' | 'name' | 'labels' | 'uid' | 'resourceVersion'>;
}

type Named = Pick<Written['metadata'], 'namespace' | 'name'>;

/** Kinds of which nothing is known but by asking. */
const UNWATCHED: readonly WrittenKind[] = ['ServiceAccount', 'HorizontalPodAutoscaler', 'PodDisruptionBudget'];
/** In the place of what was applied: there is none of ours. */
const ABSENT = '';

/** What was applied, and the version that the API server made of it. */
interface Applied {
  readonly text: string;
  readonly resourceVersion: string;
}

export class GatewayApplier {
  readonly #options: GatewayApplierOptions;
  readonly #applied = new Map<string, Applied>();

  constructor(options: GatewayApplierOptions) {
    this.#options = options;
  }

  /** Somebody else wrote meanwhile, perhaps: nothing is taken for granted any more. */
  forget(): void {
    this.#applied.clear();
  }

  /** What one Gateway runs on, all of it. Rejects with what the API server answers; what was applied until then is. */
  async apply(objects: readonly Written[]): Promise<void> {
    for (const object of objects) if (this.#options.leads()) await this.#applyOne(object);
    const [first] = objects;
    for (const kind of UNWATCHED)
      if (first && !objects.some((each) => each.kind === kind) && this.#options.leads()) await this.#withdraw(kind, first.metadata);
  }

  /** What its parameters do not ask for any more. */
  async #withdraw(kind: WrittenKind, { namespace, name }: Named): Promise<void> {
    const key = `${kind} ${namespace}/${name}`;
    if (this.#applied.get(key)?.text === ABSENT) return;
    await this.#removeUnwatched(kind, { namespace, name });
    this.#applied.set(key, { text: ABSENT, resourceVersion: '' });
  }

  async #applyOne(object: Written): Promise<void> {
    const { client, observed, controller, fieldManager } = this.#options;
    const { kind, metadata } = object;
    const key = `${kind} ${metadata.namespace}/${metadata.name}`;
    const text = JSON.stringify(object);
    const before = this.#applied.get(key);
    const isUnwatched = UNWATCHED.includes(kind);
    // One that was made is taken to be there.
    if (isUnwatched && before?.text === text) return;
    const there = isUnwatched ? await this.#found(kind, metadata) : observed.get(kind, metadata.namespace, metadata.name);
    // Somebody's own of that name serves as it is.
    if (there && there.metadata.labels[MANAGED_LABEL] !== managedBy(controller)) return;
    if (before?.text === text && there?.metadata.resourceVersion === before.resourceVersion) return;
    const path = `${pathOf(kind, metadata.namespace, metadata.name)}?fieldManager=${fieldManager}&force=true`;
    const answer = await client.send('PATCH', path, object, 'application/apply-patch+yaml');
    const resourceVersion = isMapping(answer) && isMapping(answer.metadata) ? String(answer.metadata.resourceVersion) : '';
    this.#applied.set(key, { text, resourceVersion });
  }

  /**
   * Each by itself; resolves with what could not be taken away.
   * @param wanted `namespace/name` of all that is to be there
   */
  async prune(wanted: ReadonlySet<string>): Promise<readonly unknown[]> {
    const failures: unknown[] = [];
    for (const kind of ['Deployment', 'Service'] as const) {
      for (const each of this.#options.observed.list(kind)) {
        const { namespace, name, deleted } = each.metadata;
        if (deleted || !this.#isOurs(each) || this.#isAnothers(each) || wanted.has(`${namespace}/${name}`) || !this.#options.leads())
          continue;
        try {
          await this.#remove(kind, each);
          if (kind === 'Deployment') for (const other of UNWATCHED) await this.#removeUnwatched(other, each.metadata);
        } catch (error) {
          failures.push(error);
        }
      }
    }
    return failures;
  }

  #isOurs({ metadata: { labels } }: Found): boolean {
    return labels[MANAGED_LABEL] === managedBy(this.#options.controller) && labels[GATEWAY_NAME_LABEL] !== undefined;
  }

  /** Its Gateway is another revision's, whose control plane sees to it. */
  #isAnothers({ metadata: { namespace, labels } }: ObservedObject): boolean {
    const { observed, revision } = this.#options;
    const gateway = observed.get('Gateway', namespace, labels[GATEWAY_NAME_LABEL] ?? '');
    return gateway !== undefined && revisionOf(gateway.metadata.labels) !== revision;
  }

  /** Whoever labels a Deployment of his own has no account of its name deleted by that. */
  async #removeUnwatched(kind: WrittenKind, { namespace, name }: Named): Promise<void> {
    const found = await this.#found(kind, { namespace, name });
    if (found && this.#isOurs(found)) await this.#remove(kind, found);
  }

  async #found(kind: WrittenKind, { namespace, name }: Named): Promise<Found | undefined> {
    try {
      const found = await this.#options.client.get(pathOf(kind, namespace, name));
      const { labels, uid, resourceVersion } = isMapping(found) && isMapping(found.metadata) ? found.metadata : {};
      const texts = isMapping(labels) ? (labels as Record<string, string>) : {};
      return { metadata: { namespace, name, labels: texts, uid: String(uid ?? ''), resourceVersion: String(resourceVersion ?? '') } };
    } catch (error) {
      if (isStatus(error, 404)) return undefined;
      throw error;
    }
  }

  async #remove(kind: Written['kind'], { metadata: { namespace, name, uid } }: Found): Promise<void> {
    this.#applied.delete(`${kind} ${namespace}/${name}`);
    try {
      await this.#options.client.send('DELETE', pathOf(kind, namespace, name), {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        preconditions: { uid },
      });
    } catch (error) {
      if (!isStatus(error, 404) && !isStatus(error, 409)) throw error;
    }
  }
}
