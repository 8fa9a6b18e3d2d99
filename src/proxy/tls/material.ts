/** Where TLS takes certificates, keys and CAs from: inline bytes, files that are read again when they change, and secrets that come over xDS. */
import { unwatchFile, watchFile } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { create } from '@bufbuild/protobuf';
import type { Minter } from '../../lib/contained.ts';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import { readRegularFile } from '../../lib/regular-file.ts';
import { SYSTEM_BUNDLES } from '../../lib/system-bundles.ts';
import { type DataSource, DataSourceSchema } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import type { CertificateValidationContext, TlsCertificate } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import { type Secret, SecretSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { interceptedHost } from '../../xds/names.ts';
import { unsupported } from '../../xds/unpack.ts';
import { TicketSecret } from './sessions.ts';

/** Envoy's words for a secret that has not come (yet). */
export const SECRET_MISSING = 'Secret is not supplied by SDS';

/** How often a certificate file is looked at, in milliseconds. */
const FILE_POLL_MS = 1000;

/** Certificates of intercepted hosts that are kept. */
const MOST_MINTED = 1000;

type Source = { readonly bytes: Buffer } | { readonly missing: string };

/**
 * Secrets by name, and files by path. `generation` grows whenever one of them changes, so that what was built from them knows when to look
 * again. It polls files, as that sees the atomic replacements of mounted secrets as well as edits in place.
 */
export class MaterialStore {
  generation = 0;
  readonly tickets: TicketSecret;
  readonly #secrets = new Map<string, Secret>();
  readonly #minter: Minter | undefined;
  readonly #certificates = new Map<string, Secret>();
  readonly #files = new Map<string, Source>();

  /**
   * @param minter makes the certificates by which the proxy stands in for hosts; without, there are none
   * @param tickets by default a secret of its own
   */
  constructor(minter?: Minter, tickets = new TicketSecret()) {
    this.#minter = minter;
    this.tickets = tickets;
  }

  secret(name: string): Secret | undefined {
    return this.#secrets.get(name) ?? this.#minted(name);
  }

  /** One for each host that some filter chain names, and made when a client first calls it: it is no resource, and in no dump. */
  #minted(name: string): Secret | undefined {
    const host = interceptedHost(name);
    if (host === undefined || !this.#minter) return undefined;
    const known = this.#certificates.get(host);
    if (known) return known;
    const { chain, key } = this.#minter.issue(host);
    const inline = (bytes: Uint8Array) => ({ specifier: { case: 'inlineBytes', value: bytes } }) as const;
    const value = { certificateChain: inline(Buffer.from(chain)), privateKey: inline(key.reveal()) };
    const secret = create(SecretSchema, { name, type: { case: 'tlsCertificate', value } });
    if (this.#certificates.size >= MOST_MINTED) this.#certificates.clear();
    this.#certificates.set(host, secret);
    return secret;
  }

  get secrets(): Iterable<Secret> {
    return this.#secrets.values();
  }

  /** Throws `xds-invalid` if certificate and key do not belong together or do not parse, `xds-unsupported` for validation that is not done; the last good secret then stays. */
  set(secret: Secret): void {
    if (secret.type.case === 'validationContext') refuseUnsupported(secret.type.value, `secret "${secret.name}".validation_context`);
    checkSecret(secret, (source) => this.read(source));
    this.#secrets.set(secret.name, secret);
    this.generation++;
  }

  delete(name: string): void {
    if (this.#secrets.delete(name)) this.generation++;
  }

  read(source: DataSource | undefined): Source {
    switch (source?.specifier.case) {
      case 'inlineBytes':
        return { bytes: Buffer.from(source.specifier.value) };
      case 'inlineString':
        return { bytes: Buffer.from(source.specifier.value) };
      case 'filename':
        return this.#file(source.specifier.value);
      case 'environmentVariable':
        return { missing: 'environment_variable is not supported as a source of certificates' };
      default:
        return { missing: 'a data source is empty' };
    }
  }

  #file(path: string): Source {
    const known = this.#files.get(path);
    if (known) return known;
    const source = load(path);
    this.#files.set(path, source);
    watchFile(path, { interval: FILE_POLL_MS, persistent: false }, () => {
      const next = load(path);
      const old = this.#files.get(path);
      // A file that is just being replaced is no reason to forget its last content.
      if ('missing' in next && old && 'bytes' in old) return;
      if ('bytes' in next && old && 'bytes' in old && old.bytes.equals(next.bytes)) return;
      this.#files.set(path, next);
      this.generation++;
    });
    return source;
  }

  close(): void {
    for (const path of this.#files.keys()) unwatchFile(path);
    this.#files.clear();
  }
}

function load(path: string): Source {
  const candidates = path === SYSTEM_BUNDLES[0] ? SYSTEM_BUNDLES : [path];
  let reason = '';
  for (const candidate of candidates) {
    try {
      return { bytes: readRegularFile(candidate) };
    } catch (error) {
      reason ||= messageOf(error);
    }
  }
  return { missing: `certificate file cannot be read: ${reason}` };
}

function checkSecret(secret: Secret, read: (source: DataSource | undefined) => Source): void {
  try {
    if (secret.type.case === 'tlsCertificate') {
      const pair = readPair(secret.type.value, read);
      if (!('missing' in pair)) createSecureContext({ cert: pair.chain, key: pair.key, passphrase: pair.passphrase });
    } else if (secret.type.case === 'validationContext') {
      const ca = secret.type.value.trustedCa && read(secret.type.value.trustedCa);
      if (ca && 'bytes' in ca) createSecureContext({ ca: ca.bytes });
    }
  } catch (error) {
    throw new SallyportError('xds-invalid', `secret "${secret.name}": ${messageOf(error)}`, { cause: error });
  }
}

export interface KeyPair {
  readonly chain: Buffer;
  readonly key: Buffer;
  readonly passphrase: string | undefined;
}

/** Certificate chain and private key, both in PEM. */
export function readPair(
  certificate: TlsCertificate,
  read: (source: DataSource | undefined) => Source,
): KeyPair | { readonly missing: string } {
  if (certificate.privateKeyProvider) return { missing: 'private_key_provider is not supported' };
  const chain = read(certificate.certificateChain);
  if ('missing' in chain) return chain;
  const key = read(certificate.privateKey);
  if ('missing' in key) return key;
  const password = certificate.password && read(certificate.password);
  if (password && 'missing' in password) return password;
  return { chain: chain.bytes, key: key.bytes, passphrase: password?.bytes.toString() };
}

export interface TrustMaterial {
  /** Undefined: the peer's chain is not verified. */
  readonly ca: Buffer | undefined;
  readonly crl: Buffer | undefined;
  readonly config: CertificateValidationContext;
}

export function readTrust(
  config: CertificateValidationContext,
  read: (source: DataSource | undefined) => Source,
): TrustMaterial | { readonly missing: string } {
  const authorities = config.trustedCa ?? (config.systemRootCerts && SYSTEM_AUTHORITIES);
  const ca = authorities && read(authorities);
  if (ca && 'missing' in ca) return ca;
  const crl = config.crl && read(config.crl);
  if (crl && 'missing' in crl) return crl;
  return { ca: ca?.bytes, crl: crl?.bytes, config };
}

/** The first stands for whichever the system has. */
const SYSTEM_AUTHORITIES = create(DataSourceSchema, { specifier: { case: 'filename', value: SYSTEM_BUNDLES[0]! } });

/** Throws `xds-unsupported` for what would let fewer peers in and is not done. */
export function refuseUnsupported(config: CertificateValidationContext, where: string): void {
  const refused: readonly (readonly [given: unknown, field: string])[] = [
    [config.customValidatorConfig, 'custom_validator_config'],
    [config.caCertificateProviderInstance, 'ca_certificate_provider_instance'],
    [config.maxVerifyDepth !== undefined, 'max_verify_depth'],
    [config.requireSignedCertificateTimestamp, 'require_signed_certificate_timestamp'],
  ];
  for (const [given, field] of refused) if (given) unsupported(`${where}.${field}`, 'not supported');
}
