/** What a controller does in its cluster beyond reading resources: it keeps its CA there, and what others know it by. */

import type { MeshConfig } from '../../api/index.ts';
import type { Identities } from '../../ca/identities.ts';
import type { TokenCluster } from '../../ca/tokens.ts';
import type { ClusterAccess } from '../../config/kubernetes/access.ts';
import { ApiClient } from '../../config/kubernetes/client.ts';
import type { Snapshot } from '../../config/snapshot.ts';
import type { Finding } from '../../lib/finding.ts';
import { openAuthoritySecret } from './authority-secret.ts';
import { type GatewayDuties, GatewayKeeper } from './gateway-keeper.ts';
import { RootMaps } from './root-maps.ts';
import { followTokenKeys } from './token-keys.ts';
import { reviewToken } from './token-review.ts';
import type { Upkeep } from './upkeep.ts';
import { WebhookBundle } from './webhook-bundle.ts';

export interface ClusterDuties {
  readonly access: ClusterAccess;
  /** Where the control plane is installed. */
  readonly namespace: string;
  /** Name of the Secret there that holds the CA; undefined: the CA is where `ca` says. */
  readonly caSecret: string | undefined;
  /** The ConfigMap with the roots is kept in each namespace. */
  readonly rootMaps: boolean;
  /** Name of the MutatingWebhookConfiguration whose webhooks are ours. */
  readonly webhookConfig: string | undefined;
  /** Name of the ValidatingWebhookConfiguration whose webhooks are ours. */
  readonly validationConfig: string | undefined;
  /** Tokens of this cluster's service accounts are taken. */
  readonly tokens: boolean;
  /** Gateways are deployed and statuses written; undefined: they are not. */
  readonly gateways?: GatewayDuties | undefined;
  /** Of this control plane; empty for the one without a name. */
  readonly revision: string;
}

/** In which the API server has to say what it thinks of a token, ms. */
const REVIEW_MS = 5000;

export class ClusterKeeper {
  readonly #duties: ClusterDuties;
  readonly #client: ApiClient;
  /** For clients that wait. */
  readonly #reviews: ApiClient;
  readonly #failed: (error: unknown) => void;
  readonly #ends: (() => void)[] = [];
  /** Of what follows from the roots. */
  readonly #upkeeps: Upkeep[] = [];
  #maps: RootMaps | undefined;
  #gateways: GatewayKeeper | undefined;
  /** Before anybody keeps Gateways. */
  readonly #found: Finding[] = [];
  /** Undefined where tokens of the cluster are not taken. */
  tokens: TokenCluster | undefined;

  private constructor(duties: ClusterDuties, failed: (error: unknown) => void) {
    this.#duties = duties;
    this.#failed = failed;
    this.#client = new ApiClient(duties.access);
    this.#reviews = new ApiClient(duties.access, { silenceMs: REVIEW_MS });
  }

  /** Resolves when the CA is in its folder, and the keys of tokens are known. Rejects as `openAuthoritySecret` and `followTokenKeys`. */
  static async open(duties: ClusterDuties, folder: string | undefined, failed: (error: unknown) => void): Promise<ClusterKeeper> {
    const keeper = new ClusterKeeper(duties, failed);
    try {
      await keeper.#open(folder);
      return keeper;
    } catch (error) {
      await keeper.close();
      throw error;
    }
  }

  async #open(folder: string | undefined): Promise<void> {
    const { caSecret: name, namespace, tokens } = this.#duties;
    if (name !== undefined && folder !== undefined)
      this.#ends.push(await openAuthoritySecret({ client: this.#client, namespace, name, folder, failed: this.#failed }));
    if (!tokens) return;
    const { keys, close } = await followTokenKeys(this.#client, this.#failed);
    this.tokens = { keys, problemOf: (token, audience) => reviewToken(this.#reviews, token, audience) };
    this.#ends.push(close);
  }

  /**
   * From now on Gateways are deployed, and statuses written.
   * @param findings those that stand
   */
  keepGateways(findings: () => readonly Finding[]): void {
    const { gateways, namespace, revision } = this.#duties;
    if (!gateways) return;
    this.#gateways = new GatewayKeeper({ ...gateways, client: this.#client, namespace, revision, findings, failed: this.#failed });
    this.#gateways.tell(this.#found.splice(0), []);
  }

  /** From now on what others know the control plane by is kept. */
  keep(identities: Identities, trustDomain: () => string): void {
    const { rootMaps, webhookConfig, validationConfig } = this.#duties;
    const roots = () => identities.roots(trustDomain());
    if (rootMaps) {
      this.#maps = new RootMaps(this.#client, roots, this.#failed);
      this.#upkeeps.push(this.#maps.upkeep);
    }
    for (const [kind, name] of [
      ['mutatingwebhookconfigurations', webhookConfig],
      ['validatingwebhookconfigurations', validationConfig],
    ] as const) {
      if (name !== undefined) this.#upkeeps.push(new WebhookBundle(this.#client, kind, name, roots, this.#failed).upkeep);
    }
  }

  /** What the cluster holds now. */
  see(snapshot: Snapshot, mesh: MeshConfig): void {
    this.#maps?.setNamespaces(snapshot.list('Namespace'));
    this.#gateways?.see(snapshot, mesh);
  }

  /** What is new among findings. */
  tell(fresh: readonly Finding[], mended: readonly Finding[]): void {
    if (this.#gateways) this.#gateways.tell(fresh, mended);
    else if (this.#duties.gateways) this.#found.push(...fresh);
  }

  /** The CA is another than it was. */
  authorityChanged(): void {
    for (const upkeep of this.#upkeeps) upkeep.due();
  }

  async close(): Promise<void> {
    for (const end of this.#ends) end();
    for (const upkeep of this.#upkeeps) upkeep.close();
    await this.#gateways?.close();
    this.#client.close();
    this.#reviews.close();
  }
}
