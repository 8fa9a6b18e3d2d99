/** The certificate authority of a mesh: gives a workload its identity as a certificate, for a day. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { Redacted } from '../lib/redacted.ts';
import { type Issuer, leaf, selfSigned } from './certificates.ts';

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
  /** @param now ms since the epoch @param hosts DNS names that a server is called by */
  issue(uri: string, now: number, hosts?: readonly string[]): WorkloadCertificate;
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
  const { subject, key, notAfter } = issuerOf(files, where);
  const trusted = files['root-cert.pem'];
  // Peers have the root itself.
  const chain = isRoot(files['ca-cert.pem']) ? '' : files['cert-chain.pem'] || files['ca-cert.pem'];
  return {
    trusted,
    issue(uri, now, hosts = []) {
      const until = Math.min(now + DAY_MS, notAfter);
      if (until <= now) throw new SallyportError('ca-expired', `${where}: the certificate that signs has expired. Replace it.`);
      const made = leaf({ subject, key }, uri, hosts, { notBefore: now - SKEW_MS, notAfter: until });
      return { chain: `${made.certificate}${chain}`, key: keyPem(made.key), notAfter: until };
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
    new X509Certificate(files['root-cert.pem']);
    return { subject: subjectOf(certificate.raw), key, notAfter: Date.parse(certificate.validTo) };
  } catch (error) {
    throw new SallyportError('ca-invalid', `${where}: ${messageOf(error)}`);
  }
}

function isRoot(pem: string): boolean {
  const certificate = new X509Certificate(pem);
  return certificate.checkIssued(certificate);
}

function keyPem(key: KeyObject): Redacted {
  return new Redacted(Buffer.from(key.export({ type: 'pkcs8', format: 'pem' })));
}

/** The subject's bytes: version, serial number, algorithm, issuer and validity stand before it. */
function subjectOf(certificate: Buffer): Buffer {
  const body = element(certificate, element(certificate, 0).start);
  let at = body.start;
  const first = element(certificate, at);
  if (certificate[at] === 0xa0) at = first.end;
  for (let skipped = 0; skipped < 4; skipped++) at = element(certificate, at).end;
  return certificate.subarray(at, element(certificate, at).end);
}

/** Where the content of the DER element at `at` starts and ends. */
function element(bytes: Buffer, at: number): { readonly start: number; readonly end: number } {
  const length = bytes[at + 1]!;
  if (length < 0x80) return { start: at + 2, end: at + 2 + length };
  const size = length & 0x7f;
  const start = at + 2 + size;
  return { start, end: start + bytes.readUIntBE(at + 2, size) };
}
