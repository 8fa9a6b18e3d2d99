/** Reads JSON Web Tokens (RFC 7519, compact form). Failures have the words that Envoy answers with. */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';

export interface Token {
  readonly alg: string;
  readonly kid: string;
  readonly claims: JsonObject;
  /** The payload as it came. */
  readonly payload: string;
  readonly signed: string;
  readonly signature: Buffer;
}

export function readToken(text: string): Token | string {
  const parts = text.split('.');
  if (parts.length !== 3 || parts.includes('')) return 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections';
  const [headerText, payload, signatureText] = parts as [string, string, string];
  const header = objectIn(headerText);
  if (typeof header === 'string') return `Jwt header is an invalid ${header}`;
  const { alg, kid } = header;
  if (typeof alg !== 'string') return 'Jwt header [alg] field is required and must be a string';
  if (!ALGORITHMS.has(alg)) return 'Jwt header [alg] is not supported';
  if (kid !== undefined && typeof kid !== 'string') return 'Jwt header [kid] field is not a string';
  const claims = objectIn(payload);
  if (typeof claims === 'string') return `Jwt payload is an invalid ${claims}`;
  const wrong = claimProblem(claims);
  if (wrong !== undefined) return wrong;
  const signature = base64url(signatureText);
  if (!signature) return 'Jwt signature is an invalid Base64url encoded';
  return { alg, kid: kid ?? '', claims, payload, signed: `${headerText}.${payload}`, signature };
}

export interface Algorithm {
  readonly kty: 'RSA' | 'EC' | 'oct' | 'OKP';
  /** Undefined where the key says it. */
  readonly hash: string | undefined;
  readonly pss: boolean;
}

const algorithm = (kty: Algorithm['kty'], hash: string | undefined, pss = false): Algorithm => ({ kty, hash, pss });
export const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
  ...['256', '384', '512'].flatMap((bits): [string, Algorithm][] => [
    [`RS${bits}`, algorithm('RSA', `sha${bits}`)],
    [`PS${bits}`, algorithm('RSA', `sha${bits}`, true)],
    [`ES${bits}`, algorithm('EC', `sha${bits}`)],
    [`HS${bits}`, algorithm('oct', `sha${bits}`)],
  ]),
  ['EdDSA', algorithm('OKP', undefined)],
]);

/** What it is not, if it is no object. */
function objectIn(text: string): JsonObject | 'Base64url encoded' | 'JSON' {
  const bytes = base64url(text);
  if (!bytes) return 'Base64url encoded';
  try {
    const value = JSON.parse(bytes.toString('utf8')) as JsonValue;
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : 'JSON';
  } catch {
    return 'JSON';
  }
}

function claimProblem(claims: JsonObject): string | undefined {
  for (const name of ['iss', 'sub', 'jti']) {
    if (claims[name] !== undefined && typeof claims[name] !== 'string') return `Jwt payload [${name}] field is not a string`;
  }
  for (const name of ['iat', 'nbf', 'exp']) {
    const value = claims[name];
    if (value === undefined) continue;
    if (typeof value !== 'number' || !Number.isInteger(value)) return `Jwt payload [${name}] field is not an integer`;
    if (value < 0) return `Jwt payload [${name}] field is not a positive integer`;
  }
  const { aud } = claims;
  const isList = Array.isArray(aud) && aud.every((each) => typeof each === 'string');
  return aud === undefined || typeof aud === 'string' || isList ? undefined : 'Jwt payload [aud] field is not a string or string list';
}

/** Without padding or with what is right; undefined for anything else. */
export function base64url(text: string): Buffer | undefined {
  const bare = text.replace(/={1,2}$/, '');
  if (!/^[A-Za-z0-9_-]*$/.test(bare) || bare.length % 4 === 1) return undefined;
  return Buffer.from(bare, 'base64url');
}
