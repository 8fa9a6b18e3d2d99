/** The certificates of a mesh's workloads as secrets of SDS, renewed long before they expire. */
import type { KeyObject } from 'node:crypto';
import type { Secret } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { type Authority, newAuthorityFiles, openAuthority, type WorkloadCertificate } from './authority.ts';
import { authorityIn } from './folder.ts';
import { rootSecret, workloadSecret } from './secrets.ts';

interface Known {
  readonly secrets: readonly Secret[];
  /** Milliseconds since the epoch. */
  readonly renewAt: number;
}

export class Identities {
  readonly #folder: string | undefined;
  readonly #now: () => number;
  readonly #known = new Map<string, Known>();
  #authority: { readonly authority: Authority; readonly root: Secret } | undefined;

  /**
   * @param folder of the CA, which is made there on first use; undefined: a CA that lives as long as this
   * @param now ms since the epoch
   */
  constructor(folder: string | undefined, now: () => number) {
    this.#folder = folder;
    this.#now = now;
  }

  /** The workload's certificate with its key, and the roots it trusts; the same until it is time for another. Throws as `authorityIn`. */
  secretsOf(trustDomain: string, uri: string): readonly Secret[] {
    const now = this.#now();
    const known = this.#known.get(uri);
    if (known && now < known.renewAt) return known.secrets;
    const { authority, root } = this.#opened(trustDomain, now);
    const { chain, key, notAfter } = authority.issue(uri, now);
    const secrets = [workloadSecret(chain, key), root];
    this.#known.set(uri, { secrets, renewAt: now + (notAfter - now) / 2 });
    return secrets;
  }

  /** A certificate for a server, and the roots by which it knows its clients; another one each time. Throws as `authorityIn`. */
  forServer(trustDomain: string, uri: string, hosts: readonly string[]): WorkloadCertificate & { readonly trusted: string } {
    const now = this.#now();
    const { authority } = this.#opened(trustDomain, now);
    return { ...authority.issue(uri, now, hosts), trusted: authority.trusted };
  }

  /** For a workload that keeps its key: PEM of its certificate, of what stands between it and the roots, and the roots. Throws as `authorityIn`. */
  certify(trustDomain: string, key: KeyObject, uri: string, lifeMs: number): readonly string[] {
    const now = this.#now();
    const { authority } = this.#opened(trustDomain, now);
    return [...authority.certify(key, uri, now, lifeMs), authority.trusted];
  }

  /** Forgets all identities but these: their keys, and when they were to be renewed. */
  keepOnly(uris: ReadonlySet<string>): void {
    for (const uri of this.#known.keys()) if (!uris.has(uri)) this.#known.delete(uri);
  }

  /** When the next certificate is to be renewed, ms since the epoch; undefined while there is none. */
  get renewAt(): number | undefined {
    const times = [...this.#known.values()].map(({ renewAt }) => renewAt);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  #opened(trustDomain: string, now: number) {
    if (!this.#authority) {
      const folder = this.#folder;
      const authority =
        folder === undefined
          ? openAuthority(newAuthorityFiles(trustDomain, now), "this process's CA")
          : authorityIn(folder, trustDomain, now);
      this.#authority = { authority, root: rootSecret(authority.trusted) };
    }
    return this.#authority;
  }
}
