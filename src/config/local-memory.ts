import { decodeDocuments } from '../api/documents.ts';
import type { Finding } from '../lib/finding.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { keepContent, keepList } from '../lib/same.ts';
import { ClusterIps } from './cluster-ips.ts';
import type { Snapshot } from './snapshot.ts';
import { Store } from './store.ts';

export interface Router {
  /** Stays the same while the selector does. */
  readonly key: string;
  readonly identity: ProxyIdentity;
}

/** What positions call the local objects. */
const FILE = '(built in)';

/** The local mesh as it was last: of the next one, what says the same is the same. */
export class LocalMemory {
  readonly clusterIps = new ClusterIps();
  readonly #store = new Store();
  #text: string | undefined;
  #routers: readonly Router[] = [];
  #findings: readonly Finding[] = [];

  objects(documents: readonly object[]): Snapshot {
    const text = documents.map((document) => JSON.stringify(document)).join('\n---\n');
    if (text !== this.#text) this.#store.set(FILE, decodeDocuments(text, FILE));
    this.#text = text;
    return this.#store.snapshot();
  }

  routers(routers: readonly Router[]): readonly Router[] {
    const known = new Map(this.#routers.map((router) => [router.key, router]));
    const kept = routers.map((router) => keepContent([known.get(router.key)], [router])[0]!);
    this.#routers = keepList(this.#routers, kept);
    return this.#routers;
  }

  findings(findings: readonly Finding[]): readonly Finding[] {
    this.#findings = keepContent(this.#findings, findings);
    return this.#findings;
  }
}
