/**
 * Secrets that a control plane leaves to what stands beside the proxy, as Istio's does to its agent: the workload's identity, and files that resources name
 * (`file-cert:CERTIFICATE~KEY`, `file-root:CA`).
 */
import { create, toBinary } from '@bufbuild/protobuf';
import { type IssuedCertificate, requestCertificate } from '../agent/ca-client.ts';
import { CaIdentity, type IdentityEvent } from '../agent/identity.ts';
import { OWN_SECRETS, Secrets } from '../agent/secrets.ts';
import type { newKey } from '../ca/certificates.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { SYSTEM_BUNDLES } from '../lib/system-bundles.ts';
import { readTls, type TlsFiles } from '../xds/ads/client-credentials.ts';
import { leftToAgent } from '../xds/ads/wanted.ts';
import type { Publication } from '../xds/cache.ts';
import { contentHash } from '../xds/encode.ts';
import { type Secret, SecretSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { ROOT_SECRET, WORKLOAD_SECRET } from '../xds/names.ts';
import { EncodedList, ResourceTable } from '../xds/resource-table.ts';
import type { EncodedResource, ResourceType } from '../xds/resources.ts';
import { listIn } from '../xds/update.ts';

/** Where the workload's identity comes from: files that are followed, or a CA that is asked by a token. */
export type WorkloadIdentity =
  | { readonly kind: 'files'; readonly ca: string; readonly certificate: string; readonly key: string }
  | { readonly kind: 'ca'; readonly request: (key: ReturnType<typeof newKey>, own: Secrets['own']) => Promise<IssuedCertificate> };

const TYPES: readonly ResourceType[] = ['cluster', 'endpoint', 'listener', 'route', 'secret', 'nameTable'];
/** As long as Istio's agent asks for. */
const LIFE_MS = 24 * 3_600_000;

/** By what the proxy proves who it is to its control plane; undefined where it does not. */
export function workloadIdentity(target: SocketAddress, files: TlsFiles | undefined): WorkloadIdentity | undefined {
  if (!files) return undefined;
  const { ca, own, token } = files;
  if (own) return { kind: 'files', ca, ...own };
  if (token === undefined) return undefined;
  return {
    kind: 'ca',
    request: async (key, certificate) => {
      const { ca: roots, token: shown = '' } = readTls({ ca, token })!;
      return requestCertificate({ target, roots, proof: certificate ?? { token: shown }, key, lifeMs: LIFE_MS });
    },
  };
}

export type OwnSecretsEvent =
  | IdentityEvent
  /** The control plane leaves the identity to the proxy, which has none: what needs it is closed. */
  | { readonly kind: 'no-identity' };

export interface OwnSecretsOptions {
  readonly identity: WorkloadIdentity | undefined;
  readonly tell: (event: OwnSecretsEvent) => void;
  /** `over` would give something else now. */
  readonly changed: () => void;
}

export class OwnSecrets {
  readonly #options: OwnSecretsOptions;
  readonly #held = new Secrets();
  readonly #fromFiles = new Map<string, EncodedSecret>();
  #issuing: CaIdentity | undefined;
  #told = false;

  constructor(options: OwnSecretsOptions) {
    this.#options = options;
    this.#held.onChange(options.changed);
  }

  /** Whether an identity is asked for, and has not come yet. */
  get awaited(): boolean {
    return this.#issuing !== undefined && !this.#held.complete;
  }

  /** What is published, with those secrets that it needs from here, as far as there are any. */
  over<P extends Publication>(publication: P): P {
    const { set, resources } = publication;
    const own = [...leftToAgent(resources)].sort().flatMap((name) => this.#secret(name) ?? []);
    if (own.length === 0) return publication;
    const secrets = new EncodedList('secret', [...listIn(set, 'secret').all, ...own.map(({ encoded }) => encoded)].sort(byName));
    const version = contentHash([set.version, ...own.map(({ encoded }) => encoded.version)].join());
    return {
      ...publication,
      set: { version, resources: new ResourceTable(TYPES.map((type) => (type === 'secret' ? secrets : listIn(set, type)))) },
      resources: { ...resources, secrets: [...resources.secrets, ...own.map(({ secret }) => secret)] },
    };
  }

  close(): void {
    this.#issuing?.close();
  }

  #secret(name: string): EncodedSecret | undefined {
    if (OWN_SECRETS.includes(name)) return this.#ofIdentity(name);
    const known = this.#fromFiles.get(name);
    if (known) return known;
    const secret = fileSecret(name);
    return secret && this.#remembered(secret);
  }

  #ofIdentity(name: string): EncodedSecret | undefined {
    const { identity, tell } = this.#options;
    if (!identity) {
      if (!this.#told) tell({ kind: 'no-identity' });
      this.#told = true;
      return undefined;
    }
    if (identity.kind === 'files') return this.#fromFiles.get(name) ?? this.#remembered(identitySecret(name, identity));
    this.#issuing ??= this.#ask(identity);
    const held = this.#held.get(name);
    return held && { secret: held.secret, encoded: { type: 'secret', name, version: held.version, bytes: held.bytes } };
  }

  #ask({ request }: Extract<WorkloadIdentity, { kind: 'ca' }>): CaIdentity {
    const issuing = new CaIdentity({
      secrets: this.#held,
      tell: this.#options.tell,
      request: (key, by) => request(key, by === 'certificate' ? this.#held.own : undefined),
    });
    void issuing.renew();
    return issuing;
  }

  #remembered(secret: Secret): EncodedSecret {
    const bytes = toBinary(SecretSchema, secret);
    const made: EncodedSecret = { secret, encoded: { type: 'secret', name: secret.name, version: contentHash(bytes), bytes } };
    this.#fromFiles.set(secret.name, made);
    return made;
  }
}

interface EncodedSecret {
  readonly secret: Secret;
  readonly encoded: EncodedResource;
}

/** The data plane reads the files, and again when they change. */
function identitySecret(name: string, { ca, certificate, key }: Extract<WorkloadIdentity, { kind: 'files' }>): Secret {
  return name === WORKLOAD_SECRET ? certificateSecret(WORKLOAD_SECRET, certificate, key) : trustSecret(ROOT_SECRET, ca);
}

/** Undefined for a name that means no files. */
function fileSecret(name: string): Secret | undefined {
  const [, certificate, key] = /^file-cert:([^~]+)~([^~]+)$/.exec(name) ?? [];
  if (certificate !== undefined && key !== undefined) return certificateSecret(name, certificate, key);
  const [, ca] = /^file-root:([^~]+)$/.exec(name) ?? [];
  return ca === undefined ? undefined : trustSecret(name, ca === 'system' ? SYSTEM_BUNDLES[0]! : ca);
}

function certificateSecret(name: string, certificate: string, key: string): Secret {
  const value = { certificateChain: inFile(certificate), privateKey: inFile(key) };
  return create(SecretSchema, { name, type: { case: 'tlsCertificate', value } });
}

function trustSecret(name: string, ca: string): Secret {
  return create(SecretSchema, { name, type: { case: 'validationContext', value: { trustedCa: inFile(ca) } } });
}

function inFile(path: string) {
  return { specifier: { case: 'filename', value: path } } as const;
}

function byName(one: EncodedResource, other: EncodedResource): number {
  return one.name < other.name ? -1 : 1;
}
