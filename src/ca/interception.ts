/** The CA of one run, by which a proxy stands in for hosts towards its own client. It is in memory alone, and ends with the process. */
import type { Minter } from '../lib/contained.ts';
import type { Redacted } from '../lib/redacted.ts';
import { type Issuer, issuerNames, keyPem, leaf, newKey, pemBytes, selfSigned, type Validity } from './certificates.ts';

/** Longer than any run; clients take none that lasts longer than 398 days. */
const LIFE_MS = 390 * 86_400_000;
/** The command has the clock of this machine, but what it calls may look at the certificate as well. */
const SKEW_MS = 3_600_000;

export class InterceptionAuthority implements Minter {
  /** PEM: what the command is told to trust. */
  readonly certificate: string;
  readonly #issuer: Issuer;
  readonly #validity: Validity;

  /** @param now ms since the epoch */
  constructor(now: number) {
    this.#validity = { notBefore: now - SKEW_MS, notAfter: now + LIFE_MS };
    const { certificate, key } = selfSigned('an intercepting run', this.#validity);
    this.certificate = certificate;
    this.#issuer = { ...issuerNames(pemBytes(certificate)), key };
  }

  issue(host: string): { readonly chain: string; readonly key: Redacted } {
    const key = newKey();
    return { chain: leaf(this.#issuer, key, undefined, [host], this.#validity), key: keyPem(key) };
  }
}
