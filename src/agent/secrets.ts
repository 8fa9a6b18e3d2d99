/** What a proxy's identity is at the moment, as secrets of SDS; whoever gives it to the proxy hears of changes. */
import { createHash } from 'node:crypto';
import { toBinary } from '@bufbuild/protobuf';
import type { DataSource } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { type Secret, SecretSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { ROOT_SECRET, WORKLOAD_SECRET } from '../xds/names.ts';

export interface HeldSecret {
  readonly secret: Secret;
  /** Hash of the content. */
  readonly version: string;
  readonly bytes: Uint8Array;
}

/** The secrets that the agent alone gives: a control plane's of these names are not the proxy's. */
export const OWN_SECRETS: readonly string[] = [WORKLOAD_SECRET, ROOT_SECRET];

export class Secrets {
  readonly #held = new Map<string, HeldSecret>();
  readonly #listeners = new Set<() => void>();

  get(name: string): HeldSecret | undefined {
    return this.#held.get(name);
  }

  /** All that there are to be are there. */
  get complete(): boolean {
    return OWN_SECRETS.every((name) => this.#held.has(name));
  }

  put(...secrets: readonly Secret[]): void {
    let changed = false;
    for (const secret of secrets) {
      const bytes = toBinary(SecretSchema, secret);
      const version = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
      if (this.#held.get(secret.name)?.version === version) continue;
      changed = true;
      this.#held.set(secret.name, { secret, version, bytes });
    }
    if (changed) for (const listener of [...this.#listeners]) listener();
  }

  /** Returns what ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** PEM of the workload's certificate chain and key; undefined while there are none, or where they stand elsewhere. */
  get own(): { readonly certificate: string; readonly key: string } | undefined {
    const type = this.#held.get(WORKLOAD_SECRET)?.secret.type;
    if (type?.case !== 'tlsCertificate') return undefined;
    const [certificate, key] = [textIn(type.value.certificateChain), textIn(type.value.privateKey)];
    return certificate === undefined || key === undefined ? undefined : { certificate, key };
  }

  /** PEM of the mesh's roots, or nothing. */
  get roots(): string {
    const type = this.#held.get(ROOT_SECRET)?.secret.type;
    return (type?.case === 'validationContext' && textIn(type.value.trustedCa)) || '';
  }
}

export function textIn(source: DataSource | undefined): string | undefined {
  const specifier = source?.specifier;
  if (specifier?.case === 'inlineString') return specifier.value;
  return specifier?.case === 'inlineBytes' ? Buffer.from(specifier.value).toString('utf8') : undefined;
}
