/** Values of credentials that came over SDS, as generic secrets. */
import type { CredentialSource } from '../../lib/contained.ts';
import type { LogLevel } from '../../lib/logger.ts';
import { Redacted } from '../../lib/redacted.ts';
import type { Secret } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { credentialValueSecret } from '../../xds/injected-secrets.ts';
import type { MaterialStore } from './material.ts';

/** Whoever serves the secrets decides who may have them; an empty one stands for a value that can't be had. */
export function credentialsIn(store: MaterialStore, log: (level: LogLevel, message: string) => void): CredentialSource {
  const missed = new Set<string>();
  return {
    get(name, host, done) {
      const value = valueOf(store.secret(credentialValueSecret(name)));
      if (value) missed.delete(name);
      else if (!missed.has(name)) {
        missed.add(name);
        log('error', `the credential ${name} has not come, so calls to ${host} that need it are refused`);
      }
      done(value);
    },
  };
}

const values = new WeakMap<Secret, Redacted | undefined>();

function valueOf(secret: Secret | undefined): Redacted | undefined {
  if (!secret) return undefined;
  if (!values.has(secret)) values.set(secret, read(secret));
  return values.get(secret);
}

function read({ type }: Secret): Redacted | undefined {
  const source = type.case === 'genericSecret' ? type.value.secret?.specifier : undefined;
  return source?.case === 'inlineBytes' && source.value.length > 0 ? new Redacted(source.value) : undefined;
}
