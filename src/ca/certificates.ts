/** X.509 certificates of a mesh (RFC 5280): a root that signs itself, and short-lived ones that name a workload by a SPIFFE ID. */
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';
import { Redacted } from '../lib/redacted.ts';
import { bitString, boolean, der, integer, octetString, oid, sequence, set, time, utf8 } from './der.ts';
import { bytesOf, childrenOf, contentOf, elementAt } from './der-reader.ts';

export const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  ecdsaWithSha256: ECDSA_WITH_SHA256,
  rsaWithSha256: '1.2.840.113549.1.1.11',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  altName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

/** Milliseconds since the epoch. */
export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface Pair {
  /** PEM. */
  readonly certificate: string;
  readonly key: KeyObject;
}

/** Who signs: its name as it stands in its certificate. */
export interface Issuer {
  readonly subject: Uint8Array;
  /** How its certificate calls its key (subjectKeyIdentifier): whoever verifies looks for that name. */
  readonly keyId: Uint8Array | undefined;
  readonly key: KeyObject;
}

/** Its subject and the name of its key, as they stand in the certificate (DER). */
export function issuerNames(certificate: Buffer): Pick<Issuer, 'subject' | 'keyId'> {
  const body = elementAt(certificate, elementAt(certificate, 0).start);
  const fields = childrenOf(certificate, body);
  // Version, serial number, algorithm, issuer and validity stand before it; the first may be missing.
  const subject = fields[fields[0]?.tag === 0xa0 ? 5 : 4]!;
  const wrapped = fields.find(({ tag }) => tag === 0xa3);
  const extensions = wrapped ? childrenOf(certificate, elementAt(certificate, wrapped.start)) : [];
  for (const each of extensions) {
    const [id, ...rest] = childrenOf(certificate, each);
    if (id && bytesOf(certificate, id).equals(oid(OID.subjectKeyId)))
      return { subject: bytesOf(certificate, subject), keyId: contentOf(certificate, elementAt(certificate, rest.at(-1)!.start)) };
  }
  return { subject: bytesOf(certificate, subject), keyId: undefined };
}

export function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/** @param organization as Istio's own root has it: the trust domain */
export function selfSigned(organization: string, validity: Validity): Pair {
  const key = newKey();
  const subject = sequence(
    set(sequence(oid(OID.organization), utf8(organization))),
    set(sequence(oid(OID.commonName), utf8(`Sallyport root of ${organization}`))),
  );
  // keyCertSign and cRLSign.
  const usage = extension(OID.keyUsage, true, bitString(Buffer.from([0x06]), 1));
  const constraints = extension(OID.basicConstraints, true, sequence(boolean(true)));
  const keyId = extension(OID.subjectKeyId, false, octetString(keyIdentifier(key)));
  return { certificate: signed({ subject, keyId: undefined, key }, subject, keyDer(key), validity, [usage, constraints, keyId]), key };
}

/**
 * A certificate for servers and clients, as PEM, with an empty subject, so that its names must be critical.
 * @param key public or private @param uri of a workload @param hosts DNS names beside the URI
 */
export function leaf(issuer: Issuer, key: KeyObject, uri: string | undefined, hosts: readonly string[], validity: Validity): string {
  const workload = uri === undefined ? [] : [der(0x86, Buffer.from(uri, 'latin1'))];
  const names = sequence(...workload, ...hosts.map((host) => der(0x82, Buffer.from(host, 'latin1'))));
  const extensions = [
    // digitalSignature and keyEncipherment.
    extension(OID.keyUsage, true, bitString(Buffer.from([0xa0]), 5)),
    extension(OID.extendedKeyUsage, false, sequence(oid(OID.serverAuth), oid(OID.clientAuth))),
    extension(OID.basicConstraints, true, sequence()),
    ...(issuer.keyId ? [extension(OID.authorityKeyId, false, sequence(der(0x80, issuer.keyId)))] : []),
    extension(OID.altName, true, names),
  ];
  return signed(issuer, sequence(), keyDer(key), validity, extensions);
}

function signed(issuer: Issuer, subject: Uint8Array, key: Uint8Array, validity: Validity, extensions: readonly Buffer[]): string {
  const algorithm = algorithmOf(issuer.key);
  // 16 bytes of which the first is never 0 nor makes the number negative.
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  const body = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    algorithm,
    issuer.subject,
    sequence(time(validity.notBefore), time(validity.notAfter)),
    subject,
    key,
    der(0xa3, sequence(...extensions)),
  );
  return pem('CERTIFICATE', sequence(body, algorithm, bitString(sign('sha256', body, issuer.key))));
}

/** Its public half (SubjectPublicKeyInfo). */
export function keyDer(key: KeyObject): Buffer {
  return (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'der' });
}

function algorithmOf(key: KeyObject): Buffer {
  if (key.asymmetricKeyType === 'ec') return sequence(oid(OID.ecdsaWithSha256));
  return sequence(oid(OID.rsaWithSha256), der(5));
}

function extension(id: string, critical: boolean, value: Uint8Array): Buffer {
  return critical ? sequence(oid(id), boolean(true), octetString(value)) : sequence(oid(id), octetString(value));
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash('sha256').update(keyDer(key)).digest().subarray(0, 20);
}

/** A private key, as PEM. */
export function keyPem(key: KeyObject): Redacted {
  return new Redacted(Buffer.from(key.export({ type: 'pkcs8', format: 'pem' })));
}

export function pem(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** The bytes of the first certificate in PEM. */
export function pemBytes(text: string): Buffer {
  return new X509Certificate(text).raw;
}

/** Those in a PEM file, each as PEM. */
export function certificatesIn(text: string): string[] {
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return found.map((each) => `${each}\n`);
}
