/** Values of credentials that came over SDS, as generic secrets. */
import type { CredentialSource } from '../../lib/contained.ts';
import { fieldValue } from '../../lib/field-value.ts';
import type { LogLevel } from '../../lib/logger.ts';
import { Redacted } from '../../lib/redacted.ts';
import { credentialValueSecret } from '../../xds/injected-secrets.ts';
import type { MaterialStore } from './material.ts';

/** Whoever serves the secrets decides who may have them; an empty one stands for a value that can't be had. */
export function credentialsIn(store: MaterialStore, log: (level: LogLevel, message: string) => void): CredentialSource {
  const known = new Map<string, Redacted | undefined>();
  let generation = store.generation;
  return {
    get({ name }, host, done) {
      if (generation !== store.generation) known.clear();
      generation = store.generation;
      if (!known.has(name)) {
        const value = valueOf(store, name);
        known.set(name, value);
        if (!value) log('error', `the credential ${name} has not come, so calls to ${host} that need it are refused`);
      }
      done(known.get(name));
    },
  };
}

function valueOf(store: MaterialStore, name: string): Redacted | undefined {
  const secret = store.secret(credentialValueSecret(name));
  const source = secret?.type.case === 'genericSecret' ? store.read(secret.type.value.secret) : undefined;
  if (!source || 'missing' in source) return undefined;
  const value = fieldValue(source.bytes.toString('utf8'));
  return 'problem' in value ? undefined : new Redacted(Buffer.from(value.text, 'latin1'));
}
