/**
 * Tokens for where there is no Kubernetes: whoever may read the CA's folder signs them, with a key that stands there. Without that key there are none, and all
 * that it signed end with it.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { linkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Key, readKeys } from '../http/jwt/keys.ts';
import { codeOf, messageOf, SallyportError } from '../lib/errors.ts';
import { readRegularText } from '../lib/regular-file.ts';
import { keyPem, newKey } from './certificates.ts';

export const LOCAL_ISSUER = 'sallyport-local';

const KEY_FILE = 'token-key.pem';

export interface TokenIdentity {
  readonly namespace: string;
  readonly serviceAccount: string;
}

export interface LocalTokenOptions extends TokenIdentity {
  /** Folder of a CA. */
  readonly ca: string;
  readonly audience: string;
  /** ms */
  readonly lifeMs: number;
}

/** A new token; its key is made if there is none. Throws `ca-invalid`. @param now ms since the epoch */
export function createLocalToken({ ca, namespace, serviceAccount, audience, lifeMs }: LocalTokenOptions, now: number): string {
  const key = keyIn(ca) ?? madeKey(ca);
  const seconds = Math.floor(now / 1000);
  const claims = {
    iss: LOCAL_ISSUER,
    sub: `system:serviceaccount:${namespace}:${serviceAccount}`,
    aud: [audience],
    iat: seconds,
    nbf: seconds,
    exp: seconds + Math.ceil(lifeMs / 1000),
  };
  const signed = [{ alg: 'ES256', typ: 'JWT' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

/** What local tokens of the CA are verified by; none where none was ever made. Throws `ca-invalid`. */
export function localKeys(ca: string): readonly Key[] {
  const key = keyIn(ca);
  return key ? readKeys(JSON.stringify({ keys: [createPublicKey(key).export({ format: 'jwk' })] })) : [];
}

function keyIn(ca: string): KeyObject | undefined {
  const file = join(ca, KEY_FILE);
  try {
    return createPrivateKey(readRegularText(file));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new SallyportError('ca-invalid', `${file}: ${messageOf(error)}`);
  }
}

/** Of several processes that make one at a time the first has made it. */
function madeKey(ca: string): KeyObject {
  const file = join(ca, KEY_FILE);
  const draft = `${file}.${process.pid}`;
  const key = newKey();
  try {
    writeFileSync(draft, keyPem(key).reveal(), { mode: 0o600 });
    linkSync(draft, file);
    return key;
  } catch (error) {
    const other = codeOf(error) === 'EEXIST' ? keyIn(ca) : undefined;
    if (!other) throw new SallyportError('ca-invalid', `${file} cannot be made: ${messageOf(error)}`);
    return other;
  } finally {
    rmSync(draft, { force: true });
  }
}
