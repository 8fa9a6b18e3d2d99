/** Keys that verify tokens (JWKS, RFC 7517). */
import { nodeCrypto } from '../../lib/node-crypto.ts';
import { STAND_IN_KEY_ID } from '../../xds/names.ts';
import { ALGORITHMS, base64url, type Token } from './token.ts';

type PublicKey = ReturnType<ReturnType<typeof nodeCrypto>['createPublicKey']>;
/** One key of a set, as RFC 7517 writes it. */
interface Jwk {
  readonly kty?: string;
  readonly kid?: string;
  readonly alg?: string;
  readonly k?: string;
}

export interface Key {
  readonly kid: string;
  readonly alg: string;
  readonly kty: string;
  /** Bytes of a shared secret, or a public key. */
  readonly key: PublicKey | Buffer;
}

const NO_KEY = "Jwks doesn't have key to match kid or alg from Jwt";
const WRONG_SIGNATURE = 'Jwt verification fails';

/** Whether it is for the keys alone that a token was refused. */
export function isOfKeys(why: string): boolean {
  return why === NO_KEY || why === WRONG_SIGNATURE;
}

/** Whether the set stands for keys that are not known. */
export function isStandIn(keys: readonly Key[]): boolean {
  return keys.some(({ kid }) => kid === STAND_IN_KEY_ID);
}

/** Those keys of the set that can be used. */
export function readKeys(text: string): readonly Key[] {
  let keys: unknown;
  try {
    ({ keys } = JSON.parse(text) as { keys?: unknown });
  } catch {
    return [];
  }
  return Array.isArray(keys) ? keys.flatMap((each) => keyOf(each as Jwk) ?? []) : [];
}

function keyOf(jwk: Jwk): Key | undefined {
  const { kid = '', alg = '', kty } = jwk;
  if (typeof kty !== 'string') return undefined;
  try {
    const key = kty === 'oct' ? sharedSecret(jwk) : nodeCrypto().createPublicKey({ key: { ...jwk, kty }, format: 'jwk' });
    return key && { kid, alg, kty, key };
  } catch {
    return undefined;
  }
}

/** Undefined for none: with an empty secret anybody could sign. */
function sharedSecret({ k }: Jwk): Buffer | undefined {
  const bytes = typeof k === 'string' ? base64url(k) : undefined;
  return bytes && bytes.length > 0 ? bytes : undefined;
}

/** Undefined for a token that one of the keys has signed, else why not. */
export function signatureProblem(token: Token, keys: readonly Key[]): string | undefined {
  const { kty } = ALGORITHMS.get(token.alg)!;
  const fitting = keys.filter(
    (each) =>
      each.kty === kty && (each.alg === '' || each.alg === token.alg) && (each.kid === '' || token.kid === '' || each.kid === token.kid),
  );
  if (fitting.length === 0) return NO_KEY;
  return fitting.some(({ key }) => verifies(token, key)) ? undefined : WRONG_SIGNATURE;
}

function verifies({ alg, signed, signature }: Token, key: PublicKey | Buffer): boolean {
  const { hash, pss } = ALGORITHMS.get(alg)!;
  const { constants, createHmac, timingSafeEqual, verify } = nodeCrypto();
  const data = Buffer.from(signed, 'latin1');
  if (Buffer.isBuffer(key)) {
    const own = createHmac(hash!, key).update(data).digest();
    return own.length === signature.length && timingSafeEqual(own, signature);
  }
  const padding = pss ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {};
  try {
    return verify(hash, data, { key, dsaEncoding: 'ieee-p1363', ...padding }, signature);
  } catch {
    return false;
  }
}
