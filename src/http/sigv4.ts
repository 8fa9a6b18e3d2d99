/**
 * AWS Signature Version 4 of requests as they go out: over method, path, query, host, `content-type`, every `x-amz-*` and the payload's hash
 * (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html). Written here, for what is signed has to be what is sent, to the byte: libraries
 * add and normalise fields of their own, or sign later than the request goes out.
 */
import type { SigningKeys } from '../lib/contained.ts';
import { nodeCrypto } from '../lib/node-crypto.ts';
import type { Head } from './head.ts';

/** What is signed for. */
export interface Signing {
  readonly region: string;
  readonly service: string;
  /** Whether bodies may go out that are not signed, as TLS keeps them whole. */
  readonly unsigned: boolean;
}

type Outgoing = Pick<Head, 'method' | 'path' | 'authority' | 'headers'>;

const ALGORITHM = 'AWS4-HMAC-SHA256';
const PAYLOAD = 'x-amz-content-sha256';
const OWN_FIELDS = ['authorization', 'x-amz-date', 'x-amz-security-token'];
const UNSIGNED = ['UNSIGNED-PAYLOAD', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'];
/** Services that read the payload's hash from its field. */
const NEEDS_FIELD = /^(?:s3|s3-object-lambda|s3-outposts|glacier|vpc-lattice-svcs)$/;
/** Those that take bodies that are not signed. */
const TAKES_UNSIGNED = /^(?:s3|s3-object-lambda|s3-outposts|vpc-lattice-svcs)$/;

/** What stands for the body in the signature: known of the head, to be made of the body, or a reason why there is none. */
export type Payload = { readonly hash: string } | 'body' | { readonly refused: string };

export function payloadOf(
  { service, unsigned }: Signing,
  { headers, hasBody, upgrade }: Pick<Head, 'headers' | 'hasBody' | 'upgrade'>,
): Payload {
  const stated = headers.get(PAYLOAD);
  // Whoever takes the request holds the body to it.
  if (stated !== undefined && (/^[0-9a-f]{64}$/.test(stated) || (unsigned && UNSIGNED.includes(stated)))) return { hash: stated };
  if (stated?.startsWith('STREAMING-'))
    return {
      refused: `its body comes in chunks that are signed by other keys than the credential's, or in plain HTTP not at all (${PAYLOAD})`,
    };
  if (!hasBody || upgrade !== '') return { hash: hashed('') };
  return unsigned && TAKES_UNSIGNED.test(service) ? { hash: UNSIGNED[0]! } : 'body';
}

/** Lower-case hex. */
export function hashed(data: string | Uint8Array): string {
  return nodeCrypto().createHash('sha256').update(data).digest('hex');
}

/** Whether the client has left signing to the proxy, or has signed with keys of that access key id, which stand for the credential. */
export function leavesSigning(placeholder: string | undefined, { path, headers }: Pick<Head, 'path' | 'headers'>): boolean {
  if (/[?&]X-Amz-(?:Signature|Credential)=/i.test(path)) return false;
  const signed = headers.all('authorization');
  return signed.every((text) => placeholder !== undefined && text.startsWith(`${ALGORITHM} Credential=${placeholder}/`));
}

/**
 * Changes the headers.
 * @param payload as `payloadOf` has it, or the body's hash
 * @param now ms since the epoch
 */
export function sign(message: Outgoing, { region, service }: Signing, keys: SigningKeys, payload: string, now: number): void {
  const { headers } = message;
  const date = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '');
  const hasField = headers.has(PAYLOAD) || NEEDS_FIELD.test(service);
  headers.removeAll(new Set(OWN_FIELDS));
  headers.set('x-amz-date', date);
  if (keys.sessionToken !== undefined) headers.set('x-amz-security-token', keys.sessionToken);
  if (hasField) headers.set(PAYLOAD, payload);
  const scope = `${date.slice(0, 8)}/${region}/${service}/aws4_request`;
  const fields = signedFields(message);
  const names = fields.map(([name]) => name).join(';');
  const canonical = [
    message.method,
    canonicalPath(message.path, service),
    canonicalQuery(message.path),
    ...fields.map(([name, value]) => `${name}:${value}`),
    '',
    names,
    payload,
  ].join('\n');
  const signature = hmac(signingKey(keys, scope), `${ALGORITHM}\n${date}\n${scope}\n${hashed(canonical)}`).toString('hex');
  headers.set('authorization', `${ALGORITHM} Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`);
}

function signingKey({ secretAccessKey }: SigningKeys, scope: string): Uint8Array {
  return scope.split('/').reduce<Uint8Array>((key, part) => hmac(key, part), Buffer.from(`AWS4${secretAccessKey}`));
}

function hmac(key: Uint8Array, text: string): Buffer {
  return nodeCrypto().createHmac('sha256', key).update(text).digest();
}

/** In order, each with its values as they are canonical. */
function signedFields({ authority, headers }: Outgoing): [name: string, value: string][] {
  const names = new Set(headers.flat.filter((name, i) => i % 2 === 0 && (name === 'content-type' || name.startsWith('x-amz-'))));
  const fields = [...names].map((name): [string, string] => [name, headers.all(name).map(trimmed).join(',')]);
  return [...fields, ['host', authority] as [string, string]].sort(([a], [b]) => (a < b ? -1 : 1));
}

function trimmed(value: string): string {
  return value.trim().replace(/ +/g, ' ');
}

/** S3 names objects by the path as it is decoded; the others take it as it stands, without dot segments, and escape it once more. */
function canonicalPath(target: string, service: string): string {
  const path = target.split('?', 1)[0]!;
  if (service.startsWith('s3')) return escaped(decoded(path)).replaceAll('%2F', '/');
  const pieces: string[] = [];
  for (const piece of path
    .replace(/\/{2,}/g, '/')
    .split('/')
    .slice(1)) {
    if (piece === '..') pieces.pop();
    else if (piece !== '.') pieces.push(escaped(piece));
  }
  return `/${pieces.join('/')}`;
}

function canonicalQuery(target: string): string {
  const at = target.indexOf('?');
  if (at < 0) return '';
  const pairs = target
    .slice(at + 1)
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=');
      const [name, value] = equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)];
      return [escaped(decoded(name)), escaped(decoded(value))] as const;
    });
  const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  return pairs
    .sort(([a, x], [b, y]) => order(a, b) || order(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

/** All but unreserved characters (RFC 3986 §2.3). */
function escaped(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
