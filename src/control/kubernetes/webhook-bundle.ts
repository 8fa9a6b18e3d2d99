/** By which certificates API servers know our webhook: kept in its configuration, whatever installs that. */
import { isMapping } from '../../api/decode.ts';
import type { ApiClient } from '../../config/kubernetes/client.ts';
import { followNamed } from './follow-named.ts';
import { Upkeep } from './upkeep.ts';

const GROUP = '/apis/admissionregistration.k8s.io/v1';

/** As paths have it. */
export type WebhookKind = 'mutatingwebhookconfigurations' | 'validatingwebhookconfigurations';

export class WebhookBundle {
  readonly #client: ApiClient;
  readonly #list: string;
  readonly #name: string;
  readonly #roots: () => string;
  /** Due where the roots may be others. */
  readonly upkeep: Upkeep;
  /** As it is there: the bundle of each webhook, base64. */
  #bundles: readonly unknown[] = [];

  /** @param name of the configuration @param roots PEM, what they are now */
  constructor(client: ApiClient, kind: WebhookKind, name: string, roots: () => string, failed: (error: unknown) => void) {
    this.#client = client;
    this.#list = `${GROUP}/${kind}`;
    this.#name = name;
    this.#roots = roots;
    this.upkeep = new Upkeep(
      () => this.#write(),
      failed,
      (due) =>
        followNamed(client, this.#list, name, {
          present: ({ webhooks }) => {
            const listed = Array.isArray(webhooks) ? webhooks.filter(isMapping) : [];
            this.#bundles = listed.map(({ clientConfig }) => (isMapping(clientConfig) ? clientConfig.caBundle : undefined));
            due();
          },
          absent: () => {
            this.#bundles = [];
          },
          failed,
        }),
    );
  }

  async #write(): Promise<void> {
    const wanted = Buffer.from(this.#roots()).toString('base64');
    const operations = this.#bundles.flatMap((bundle, index) =>
      bundle === wanted ? [] : [{ op: 'add', path: `/webhooks/${index}/clientConfig/caBundle`, value: wanted }],
    );
    if (operations.length === 0) return;
    await this.#client.send('PATCH', `${this.#list}/${encodeURIComponent(this.#name)}`, operations, 'application/json-patch+json');
  }
}
