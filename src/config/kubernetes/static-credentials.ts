/** Credentials that stand in a kubeconfig, or in files that somebody else renews. */
import { Redacted } from '../../lib/redacted.ts';
import type { ClientCertificate, Credentials, Presented } from './access.ts';

export function redactedText(text: string): Redacted {
  return new Redacted(new TextEncoder().encode(text));
}

export function bearer(token: string): Redacted {
  return redactedText(`Bearer ${token}`);
}

export function basic(user: string, password: string): Redacted {
  return redactedText(`Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`);
}

/** The same for each request. */
export function fixedCredentials(presented: Presented): Credentials {
  return { present: async () => presented, renew: () => false };
}

/** A token is read again after this, ms: as client-go. Kubelets renew theirs when four fifths of its time are over. */
const FRESH_MS = 60_000;

/** A token in a file. */
export class FileToken implements Credentials {
  readonly #read: () => string;
  readonly #certificate: ClientCertificate | undefined;
  readonly #now: () => number;
  #kept: { readonly authorization: Redacted; readonly at: number } | undefined;

  /** @param read the file's content @param now ms */
  constructor(read: () => string, certificate: ClientCertificate | undefined, now: () => number = Date.now) {
    this.#read = read;
    this.#certificate = certificate;
    this.#now = now;
  }

  async present(): Promise<Presented> {
    if (!this.#kept || this.#now() - this.#kept.at >= FRESH_MS)
      this.#kept = { authorization: bearer(this.#read().trim()), at: this.#now() };
    return { authorization: this.#kept.authorization, certificate: this.#certificate };
  }

  renew(): boolean {
    const kept = this.#kept;
    this.#kept = undefined;
    return kept !== undefined;
  }
}
