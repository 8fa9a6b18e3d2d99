/** The certificates of a mesh's workloads as secrets of SDS, renewed long before they expire. */
import type { KeyObject } from 'node:crypto';
import type { Secret } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { type Authority, isVouchedFor, newAuthorityFiles, openAuthority, type WorkloadCertificate } from './authority.ts';
import { authorityFrom, authorityIn } from './folder.ts';
import { rootSecret, workloadSecret } from './secrets.ts';

interface Known {
  readonly own: Secret;
  readonly secrets: readonly Secret[];
  /** Milliseconds since the epoch. */
  readonly renewAt: number;
}

interface Opened {
  /** Who signs. */
  authority: Authority;
  trusted: string;
  root: Secret;
  /** Who is to sign from a time on, ms since the epoch. */
  next: { readonly authority: Authority; readonly at: number } | undefined;
}

/** So long proxies may take to hear whom to trust before anybody signs whom they did not know, ms. */
const HEARD_MS = 30_000;

export class Identities {
  readonly #folder: string | undefined;
  readonly #now: () => number;
  readonly #heardMs: number;
  readonly #known = new Map<string, Known>();
  #opened: Opened | undefined;

  /**
   * @param folder of the CA, which is made there on first use; undefined: a CA that lives as long as this
   * @param now ms since the epoch
   */
  constructor(folder: string | undefined, now: () => number, heardMs = HEARD_MS) {
    this.#folder = folder;
    this.#now = now;
    this.#heardMs = heardMs;
  }

  /** The workload's certificate with its key, and the roots it trusts; the same until it is time for another. Throws as `authorityIn`. */
  secretsOf(trustDomain: string, uri: string): readonly Secret[] {
    const now = this.#now();
    const { authority, root } = this.#open(trustDomain, now);
    const known = this.#known.get(uri);
    if (known && now < known.renewAt) {
      if (known.secrets.includes(root)) return known.secrets;
      const secrets = [known.own, root];
      this.#known.set(uri, { ...known, secrets });
      return secrets;
    }
    const { chain, key, notAfter } = authority.issue(uri, now);
    const own = workloadSecret(chain, key);
    const secrets = [own, root];
    this.#known.set(uri, { own, secrets, renewAt: now + (notAfter - now) / 2 });
    return secrets;
  }

  /** PEM of those whom the mesh trusts. Throws as `authorityIn`. */
  roots(trustDomain: string): string {
    return this.#open(trustDomain, this.#now()).trusted;
  }

  /** A certificate for a server, and the roots by which it knows its clients; another one each time. Throws as `authorityIn`. */
  forServer(trustDomain: string, uri: string, hosts: readonly string[]): WorkloadCertificate & { readonly trusted: string } {
    const now = this.#now();
    const { authority, trusted } = this.#open(trustDomain, now);
    return { ...authority.issue(uri, now, hosts), trusted };
  }

  /** For a workload that keeps its key: PEM of its certificate, of what stands between it and the roots, and the roots. Throws as `authorityIn`. */
  certify(trustDomain: string, key: KeyObject, uri: string, lifeMs: number): readonly string[] {
    const now = this.#now();
    const { authority, trusted } = this.#open(trustDomain, now);
    return [...authority.certify(key, uri, now, lifeMs), trusted];
  }

  /**
   * Reads the CA's folder again. Other roots are trusted at once. Another key signs once everybody has had the time to hear of its root, or at once where the
   * one before is trusted no more; then all certificates are made anew. Returns whether anything has changed; throws as `authorityFrom`, and all stays as it was.
   */
  reload(): boolean {
    const opened = this.#opened;
    if (this.#folder === undefined || !opened) return false;
    const authority = authorityFrom(this.#folder);
    const sameRoots = authority.trusted === opened.trusted;
    if (sameRoots && authority.signer === (opened.next?.authority ?? opened.authority).signer) return false;
    if (!sameRoots) {
      opened.trusted = authority.trusted;
      opened.root = rootSecret(authority.trusted);
    }
    opened.next = undefined;
    if (authority.signer === opened.authority.signer) opened.authority = authority;
    else if (isVouchedFor(opened.authority.signer, authority.trusted)) opened.next = { authority, at: this.#now() + this.#heardMs };
    else this.#signBy(opened, authority);
    return true;
  }

  /** Forgets all identities but these: their keys, and when they were to be renewed. */
  keepOnly(uris: ReadonlySet<string>): void {
    for (const uri of this.#known.keys()) if (!uris.has(uri)) this.#known.delete(uri);
  }

  /** When the next certificate is to be renewed, or another key signs, ms since the epoch; undefined while there is neither. */
  get renewAt(): number | undefined {
    const times = [...this.#known.values()].map(({ renewAt }) => renewAt);
    if (this.signsAnewAt !== undefined) times.push(this.signsAnewAt);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  /** When another key is to sign, ms since the epoch. */
  get signsAnewAt(): number | undefined {
    return this.#opened?.next?.at;
  }

  #open(trustDomain: string, now: number): Opened {
    if (!this.#opened) {
      const folder = this.#folder;
      const authority =
        folder === undefined
          ? openAuthority(newAuthorityFiles(trustDomain, now), "this process's CA")
          : authorityIn(folder, trustDomain, now);
      this.#opened = { authority, trusted: authority.trusted, root: rootSecret(authority.trusted), next: undefined };
    }
    const { next } = this.#opened;
    if (next && now >= next.at) this.#signBy(this.#opened, next.authority);
    return this.#opened;
  }

  #signBy(opened: Opened, authority: Authority): void {
    opened.authority = authority;
    opened.next = undefined;
    this.#known.clear();
  }
}
