/** The certificate authority of a mesh: gives a workload its identity as a certificate, for a day. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { messageOf, SallyportError } from '../lib/errors.ts';
import type { Redacted } from '../lib/redacted.ts';
import { certificatesIn, type Issuer, issuerNames, keyPem, leaf, newKey, selfSigned } from './certificates.ts';

/** What stands in a CA's folder, by Istio's names (the Secret `cacerts`), as PEM. */
export interface AuthorityFiles {
  /** The certificate that signs: the root itself, or an intermediate. */
  readonly 'ca-cert.pem': string;
  readonly 'ca-key.pem': Redacted;
  /** What clients and servers trust; several while a root is replaced. */
  readonly 'root-cert.pem': string;
  /** From the signing certificate up to the root. */
  readonly 'cert-chain.pem': string;
}

export interface WorkloadCertificate {
  /** PEM, the leaf first. */
  readonly chain: string;
  readonly key: Redacted;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

export interface Authority {
  /** PEM of the roots. */
  readonly trusted: string;
  /** PEM of the certificate that signs, and of what stands between it and the roots. */
  readonly signer: string;
  /** @param now ms since the epoch @param hosts DNS names that a server is called by */
  issue(uri: string, now: number, hosts?: readonly string[]): WorkloadCertificate;
  /**
   * For whoever keeps the key: PEM of the leaf, and of what stands between it and the roots.
   * @param key public @param lifeMs at most a day is given
   */
  certify(key: KeyObject, uri: string, now: number, lifeMs: number): readonly string[];
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const ROOT_YEARS = 10;
/** Clocks of machines differ by so much. */
const SKEW_MS = 2 * 60_000;

/** A new root that signs itself. @param now ms since the epoch */
export function newAuthorityFiles(trustDomain: string, now: number): AuthorityFiles {
  const { certificate, key } = selfSigned(trustDomain, { notBefore: now - SKEW_MS, notAfter: now + ROOT_YEARS * 365 * DAY_MS });
  return { 'ca-cert.pem': certificate, 'ca-key.pem': keyPem(key), 'root-cert.pem': certificate, 'cert-chain.pem': certificate };
}

/** Throws `ca-invalid` for what can't sign; `where` names the CA. No message holds what a file holds. */
export function openAuthority(files: AuthorityFiles, where: string): Authority {
  const issuer = issuerOf(files, where);
  const trusted = files['root-cert.pem'];
  // Peers have the root itself.
  const chain = isRoot(files['ca-cert.pem']) ? '' : files['cert-chain.pem'] || files['ca-cert.pem'];
  const signedLeaf = (key: KeyObject, uri: string, now: number, lifeMs: number, hosts: readonly string[] = []) => {
    const notAfter = Math.min(now + lifeMs, issuer.notAfter);
    if (notAfter <= now) throw new SallyportError('ca-expired', `${where}: the certificate that signs has expired. Replace it.`);
    return { certificate: leaf(issuer, key, uri, hosts, { notBefore: now - SKEW_MS, notAfter }), notAfter };
  };
  return {
    trusted,
    signer: `${files['ca-cert.pem']}\n${chain}`,
    issue(uri, now, hosts) {
      const key = newKey();
      const { certificate, notAfter } = signedLeaf(key, uri, now, DAY_MS, hosts);
      return { chain: `${certificate}${chain}`, key: keyPem(key), notAfter };
    },
    certify(key, uri, now, lifeMs) {
      const { certificate } = signedLeaf(key, uri, now, Math.min(lifeMs, DAY_MS));
      return [certificate, ...(chain === '' ? [] : certificatesIn(chain))];
    },
  };
}

function issuerOf(files: AuthorityFiles, where: string): Issuer & { readonly notAfter: number } {
  try {
    const certificate = new X509Certificate(files['ca-cert.pem']);
    const key = createPrivateKey(files['ca-key.pem'].revealText());
    if (!certificate.checkPrivateKey(key)) throw new Error('ca-key.pem does not belong to ca-cert.pem');
    if (!certificate.ca) throw new Error('ca-cert.pem is no certificate of a CA');
    if (key.asymmetricKeyType !== 'ec' && key.asymmetricKeyType !== 'rsa') throw new Error('ca-key.pem is neither an EC nor an RSA key');
    if (!isVouchedFor(`${files['ca-cert.pem']}\n${files['cert-chain.pem']}`, files['root-cert.pem']))
      throw new Error('root-cert.pem does not have the root of ca-cert.pem: nobody would trust what it signs');
    return { ...issuerNames(certificate.raw), key, notAfter: Date.parse(certificate.validTo) };
  } catch (error) {
    throw new SallyportError('ca-invalid', `${where}: ${messageOf(error)}`);
  }
}

/**
 * Whether the first certificate of a chain leads to one of the roots. Their times are not looked at: whoever verifies has a clock of their own.
 * @param chain PEM, in any order behind the first @param roots PEM
 */
export function isVouchedFor(chain: string, roots: string): boolean {
  const [first, ...others] = certificatesIn(chain).map((pem) => new X509Certificate(pem));
  const trusted = certificatesIn(roots).map((pem) => new X509Certificate(pem));
  const seen = new Set<X509Certificate>();
  for (let at = first; at && !seen.has(at); ) {
    const current: X509Certificate = at;
    seen.add(current);
    const signedBy = (issuer: X509Certificate) => current.checkIssued(issuer) && current.verify(issuer.publicKey);
    if (trusted.some((root) => root.fingerprint256 === current.fingerprint256 || signedBy(root))) return true;
    at = others.find(signedBy);
  }
  return false;
}

function isRoot(pem: string): boolean {
  const certificate = new X509Certificate(pem);
  return certificate.checkIssued(certificate);
}
