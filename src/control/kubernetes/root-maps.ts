/** The ConfigMap of each namespace by which its proxies know the control plane, as istiod keeps it. */
import { isMapping } from '../../api/decode.ts';
import type { Resource } from '../../api/resource.ts';
import type { ApiClient } from '../../config/kubernetes/client.ts';
import { isStatus } from '../../config/kubernetes/errors.ts';
import { pathOf, pathOfAll } from '../../kube/paths.ts';
import { followNamed } from './follow-named.ts';
import { FIELD_MANAGER, Upkeep } from './upkeep.ts';

/** Injected pods mount it. */
const NAME = 'istio-ca-root-cert';
const KEY = 'root-cert.pem';

export class RootMaps {
  readonly #client: ApiClient;
  readonly #roots: () => string;
  /** Due where the roots may be others. */
  readonly upkeep: Upkeep;
  readonly #there = new Map<string, string>();
  #namespaces: readonly string[] = [];
  /** Before that nobody knows what is missing. */
  #listed = false;

  /** @param roots PEM, what they are now */
  constructor(client: ApiClient, roots: () => string, failed: (error: unknown) => void) {
    this.#client = client;
    this.#roots = roots;
    this.upkeep = new Upkeep(
      () => this.#write(),
      failed,
      (due) =>
        followNamed(client, pathOfAll('ConfigMap', ''), NAME, {
          present: ({ data }, { namespace }) => {
            const text = isMapping(data) ? data[KEY] : undefined;
            this.#there.set(namespace, typeof text === 'string' ? text : '');
            due();
          },
          absent: ({ namespace }) => {
            this.#there.delete(namespace);
            due();
          },
          complete: () => {
            this.#listed = true;
            due();
          },
          failed,
        }),
    );
  }

  /** Those that are going have no more of it made. */
  setNamespaces(namespaces: readonly Resource[]): void {
    this.#namespaces = namespaces.map(({ metadata }) => metadata.name);
    this.upkeep.due();
  }

  async #write(): Promise<void> {
    if (!this.#listed) return;
    const roots = this.#roots();
    const failures: unknown[] = [];
    for (const namespace of this.#namespaces) {
      if (this.#there.get(namespace) === roots) continue;
      const path = `${pathOf('ConfigMap', namespace, NAME)}?fieldManager=${FIELD_MANAGER}&force=true`;
      const metadata = { name: NAME, namespace, labels: { 'istio.io/config': 'true' } };
      const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { [KEY]: roots } };
      try {
        await this.#client.send('PATCH', path, map, 'application/apply-patch+yaml');
        this.#there.set(namespace, roots);
      } catch (error) {
        // The namespace is gone, or about to.
        if (!isStatus(error, 404) && !(isStatus(error, 403) && /being terminated/.test(error.message))) failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
