/** The text of a key set, from where a source says that it is. Rejects with `keys-unavailable`. */
import { SallyportError } from '../../lib/errors.ts';
import type { KeySource } from '../../translate/authorization/key-sources.ts';
import { download } from './download.ts';

export async function fetchKeySet({ uri, issuer, timeoutMs }: KeySource): Promise<string> {
  const end = performance.now() + timeoutMs;
  const from = uri ?? (await discovered(issuer, timeoutMs));
  const text = await download(from, Math.max(1, Math.round(end - performance.now())));
  const keys = jsonAt(text, 'keys');
  if (!Array.isArray(keys))
    throw new SallyportError('keys-unavailable', `${from}: its answer is no JSON Web Key Set: there are no keys in it`);
  return text;
}

/** OpenID Connect Discovery 1.0, section 4. */
async function discovered(issuer: string, timeoutMs: number): Promise<string> {
  const at = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const uri = jsonAt(await download(at, timeoutMs), 'jwks_uri');
  if (typeof uri !== 'string') throw new SallyportError('keys-unavailable', `${at}: its answer names no jwks_uri`);
  return uri;
}

function jsonAt(text: string, name: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
  } catch {
    return undefined;
  }
}
