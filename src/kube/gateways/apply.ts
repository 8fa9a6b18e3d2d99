/** Makes what runs Gateways what it is to be: applied server-side where it is not, and taken away where no Gateway asks for it. */
import { isMapping } from '../../api/decode.ts';
import { GATEWAY_NAME_LABEL } from '../../api/gateway-api/common.ts';
import type { ApiClient } from '../../config/kubernetes/client.ts';
import { isStatus } from '../../config/kubernetes/errors.ts';
import type { ObservedObject, ObservedObjects } from '../observed.ts';
import { pathOf } from '../paths.ts';
import { MANAGED_LABEL, managedBy, type Written } from './objects.ts';

export interface GatewayApplierOptions {
  readonly client: ApiClient;
  readonly observed: ObservedObjects;
  readonly controller: string;
  /** Whose fields are those that are applied. */
  readonly fieldManager: string;
  readonly leads: () => boolean;
}

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

  /** Rejects with what the API server answers; what was applied until then is. */
  async apply(objects: readonly Written[]): Promise<void> {
    for (const object of objects) if (this.#options.leads()) await this.#applyOne(object);
  }

  async #applyOne(object: Written): Promise<void> {
    const { client, observed, controller, fieldManager } = this.#options;
    const { kind, metadata } = object;
    const there = observed.get(kind, metadata.namespace, metadata.name);
    // Somebody's own of that name serves as it is.
    if (there && there.metadata.labels[MANAGED_LABEL] !== managedBy(controller)) return;
    const key = `${kind} ${metadata.namespace}/${metadata.name}`;
    const text = JSON.stringify(object);
    const before = this.#applied.get(key);
    if (before?.text === text && isThere(kind, before, there)) return;
    const path = `${pathOf(kind, metadata.namespace, metadata.name)}?fieldManager=${fieldManager}&force=true`;
    const answer = await client.send('PATCH', path, object, 'application/apply-patch+yaml');
    const resourceVersion = isMapping(answer) && isMapping(answer.metadata) ? String(answer.metadata.resourceVersion) : '';
    this.#applied.set(key, { text, resourceVersion });
  }

  /** @param wanted `namespace/name` of all that is to be there */
  async prune(wanted: ReadonlySet<string>): Promise<void> {
    const { observed, controller } = this.#options;
    for (const kind of ['Deployment', 'Service']) {
      for (const each of observed.list(kind)) {
        const { namespace, name, labels, deleted } = each.metadata;
        if (labels[MANAGED_LABEL] !== managedBy(controller) || labels[GATEWAY_NAME_LABEL] === undefined) continue;
        if (deleted || wanted.has(`${namespace}/${name}`) || !this.#options.leads()) continue;
        await this.#remove(kind, each);
        if (kind === 'Deployment') await this.#remove('ServiceAccount', { ...each, metadata: { ...each.metadata, uid: '' } });
      }
    }
  }

  async #remove(kind: string, { metadata: { namespace, name, uid } }: ObservedObject): Promise<void> {
    this.#applied.delete(`${kind} ${namespace}/${name}`);
    const only = uid === '' ? {} : { preconditions: { uid } };
    try {
      await this.#options.client.send('DELETE', pathOf(kind, namespace, name), { apiVersion: 'v1', kind: 'DeleteOptions', ...only });
    } catch (error) {
      if (!isStatus(error, 404) && !isStatus(error, 409)) throw error;
    }
  }
}

/** ServiceAccounts are not watched: one that was made is taken to be there. */
function isThere(kind: string, before: Applied, there: ObservedObject | undefined): boolean {
  return kind === 'ServiceAccount' || there?.metadata.resourceVersion === before.resourceVersion;
}
