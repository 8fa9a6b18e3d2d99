/** A workload's identity from the CA of its mesh: a key that never leaves this process, and certificates for it that are renewed long before they end. */
import { keyPem, newKey } from '../ca/certificates.ts';
import { rootSecret, workloadSecret } from '../ca/secrets.ts';
import { codeOf, messageOf } from '../lib/errors.ts';
import type { IssuedCertificate } from './ca-client.ts';
import type { Secrets } from './secrets.ts';

export interface IdentityOptions {
  readonly secrets: Secrets;
  /** Asks the CA, by the certificate that there is or by the token. */
  readonly request: (key: ReturnType<typeof newKey>, by: 'certificate' | 'token') => Promise<IssuedCertificate>;
  readonly tell: (event: IdentityEvent) => void;
}

export type IdentityEvent =
  | { readonly kind: 'issued'; readonly identity: string; readonly notAfter: number; readonly first: boolean }
  /** It is tried again; what there is stays until it ends. Told once for each reason, until it is had again. */
  | { readonly kind: 'not-issued'; readonly reason: string; readonly first: boolean };

const BACKOFF = { firstMs: 500, mostMs: 30_000 };
/** Of many that began at one time not all come back at one time. */
const JITTER = 0.1;

export class CaIdentity {
  readonly #options: IdentityOptions;
  #current: IssuedCertificate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #delayMs = BACKOFF.firstMs;
  #told = '';
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: IdentityOptions) {
    this.#options = options;
  }

  /** ms since the epoch; undefined until the first certificate has come. */
  get notAfter(): number | undefined {
    return this.#current?.notAfter;
  }

  /** Asks for a certificate now; until one comes, again and again. Resolves after the first attempt. */
  renew(): Promise<void> {
    this.#running ??= this.#attempt().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #attempt(): Promise<void> {
    clearTimeout(this.#timer);
    const { request, secrets, tell } = this.#options;
    const first = this.#current === undefined;
    try {
      const key = newKey();
      const issued = await this.#requested(key, request);
      if (this.#closed) return;
      this.#current = issued;
      this.#delayMs = BACKOFF.firstMs;
      this.#told = '';
      secrets.put(rootSecret(issued.roots), workloadSecret(issued.chain, keyPem(key)));
      tell({ kind: 'issued', identity: issued.identity, notAfter: issued.notAfter, first });
      const leftMs = issued.notAfter - Date.now();
      this.#again(leftMs * (0.5 - JITTER * Math.random()));
    } catch (error) {
      if (this.#closed) return;
      const reason = messageOf(error);
      if (reason !== this.#told) tell({ kind: 'not-issued', reason, first });
      this.#told = reason;
      this.#again(this.#delayMs * (0.5 + Math.random() / 2));
      // What is left of the certificate is to be enough for several attempts.
      const mostMs = Math.max(BACKOFF.firstMs, ((this.#current?.notAfter ?? 0) - Date.now()) / 4);
      this.#delayMs = Math.min(this.#delayMs * 2, BACKOFF.mostMs, this.#current ? mostMs : BACKOFF.mostMs);
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** A certificate that has ended, or that the CA knows no more, is no proof; the token may be. */
  async #requested(key: ReturnType<typeof newKey>, request: IdentityOptions['request']): Promise<IssuedCertificate> {
    if (this.#current === undefined || this.#current.notAfter <= Date.now()) return request(key, 'token');
    try {
      return await request(key, 'certificate');
    } catch (error) {
      if (codeOf(error) !== 'ca-unauthenticated') throw error;
      return request(key, 'token');
    }
  }

  #again(afterMs: number): void {
    this.#timer = setTimeout(() => void this.renew(), Math.max(100, afterMs));
  }
}
