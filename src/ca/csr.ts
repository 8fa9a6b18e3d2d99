/**
 * Requests for certificates (PKCS#10, RFC 2986). Of one that comes only its key counts, and that whoever sent it has the private half: names and extensions
 * that it asks for are not read, as an identity comes from elsewhere.
 */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { ECDSA_WITH_SHA256, keyDer, pem } from './certificates.ts';
import { bitString, der, integer, oid, sequence } from './der.ts';
import { bytesOf, childrenOf, contentOf, type Element, elementAt } from './der-reader.ts';

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OID = 0x06;
const ATTRIBUTES = 0xa0;

/** Signature algorithms by the bytes of their OID; for each the kind of key and the hash. */
const ALGORITHMS: ReadonlyMap<string, { readonly kind: string; readonly hash: string }> = new Map(
  (
    [
      [ECDSA_WITH_SHA256, 'ec', 'sha256'],
      ['1.2.840.10045.4.3.3', 'ec', 'sha384'],
      ['1.2.840.10045.4.3.4', 'ec', 'sha512'],
      ['1.2.840.113549.1.1.11', 'rsa', 'sha256'],
      ['1.2.840.113549.1.1.12', 'rsa', 'sha384'],
      ['1.2.840.113549.1.1.13', 'rsa', 'sha512'],
    ] as const
  ).map(([id, kind, hash]) => [oid(id).toString('hex'), { kind, hash }]),
);
const CURVES = ['prime256v1', 'secp384r1', 'secp521r1'];
const RSA_BITS = { least: 2048, most: 8192 };
/** A request for a key of 8192 bits with a page of names has 6 kB. */
const MOST_BYTES = 16 * 1024;

/** The key that is to be certified. Throws `csr-invalid`. */
export function readCsr(text: string): KeyObject {
  try {
    return verifiedKey(derIn(text));
  } catch (error) {
    throw new SallyportError('csr-invalid', `the request for a certificate is not valid: ${messageOf(error)}`);
  }
}

function derIn(text: string): Buffer {
  if (text.length > MOST_BYTES) throw new Error(`it is longer than ${MOST_BYTES} bytes`);
  const match = /^\s*-----BEGIN (NEW )?CERTIFICATE REQUEST-----\s([A-Za-z0-9+/=\s]+)-----END (NEW )?CERTIFICATE REQUEST-----\s*$/.exec(
    text,
  );
  if (!match) throw new Error('it is no single CERTIFICATE REQUEST in PEM');
  return Buffer.from(match[2]!, 'base64');
}

function verifiedKey(bytes: Buffer): KeyObject {
  const whole = elementAt(bytes, 0);
  if (whole.end !== bytes.length) throw new Error('something follows it');
  const [info, algorithm, signature] = partsOf(bytes, expect(whole, SEQUENCE), 3);
  const [version, subject, spki] = childrenOf(bytes, expect(info, SEQUENCE));
  expect(version, INTEGER);
  expect(subject, SEQUENCE);
  const key = createPublicKey({ key: bytesOf(bytes, expect(spki, SEQUENCE)), format: 'der', type: 'spki' });
  checkKey(key);
  const [id] = childrenOf(bytes, expect(algorithm, SEQUENCE));
  const how = ALGORITHMS.get(bytesOf(bytes, expect(id, OID)).toString('hex'));
  if (!how)
    throw new Error('its signature is by an algorithm that is not known here: there are ECDSA and RSA with SHA-256, SHA-384 and SHA-512');
  if (how.kind !== key.asymmetricKeyType) throw new Error('its signature is by an algorithm that is not that of its key');
  const signed = contentOf(bytes, expect(signature, BIT_STRING));
  // The first byte counts unused bits.
  if (signed[0] !== 0 || !verify(how.hash, bytesOf(bytes, info!), key, signed.subarray(1))) throw new Error('its signature is wrong');
  return key;
}

function checkKey({ asymmetricKeyType: type, asymmetricKeyDetails: details = {} }: KeyObject): void {
  if (type === 'ec') {
    if (!CURVES.includes(details.namedCurve ?? '')) throw new Error('its key is on a curve other than P-256, P-384 and P-521');
  } else if (type === 'rsa') {
    const { modulusLength: bits = 0 } = details;
    if (bits < RSA_BITS.least || bits > RSA_BITS.most)
      throw new Error(`its RSA key has ${bits} bits: there may be ${RSA_BITS.least} to ${RSA_BITS.most}`);
  } else throw new Error('its key is neither an EC nor an RSA key');
}

function partsOf(bytes: Buffer, element: Element, count: number): Element[] {
  const parts = childrenOf(bytes, element);
  if (parts.length !== count) throw new Error(`it has ${parts.length} parts in place of ${count}`);
  return parts;
}

function expect(element: Element | undefined, tag: number): Element {
  if (element?.tag !== tag) throw new Error('it is not in the form of PKCS#10');
  return element;
}

/** A request without names, as PEM. @param key private, on P-256 */
export function makeCsr(key: KeyObject): string {
  const info = sequence(integer(Buffer.from([0])), sequence(), keyDer(key), der(ATTRIBUTES));
  const signature = sign('sha256', info, key);
  return pem('CERTIFICATE REQUEST', sequence(info, sequence(oid(ECDSA_WITH_SHA256)), bitString(signature)));
}
