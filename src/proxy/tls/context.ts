/** Builds node's SecureContext from an Envoy CommonTlsContext, and builds it anew when what it stands on has changed. */
import { constants, createHash } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions, type SecureVersion } from 'node:tls';
import { toBinary } from '@bufbuild/protobuf';
import { messageOf } from '../../lib/errors.ts';
import {
  type CertificateValidationContext,
  CertificateValidationContextSchema,
  TlsParameters_TlsProtocol as Protocol,
  type TlsParameters,
  CertificateValidationContext_TrustChainVerification as TrustChain,
} from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import type { CommonTlsContext } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { METADATA_EXCHANGE_ALPN } from '../../xds/observing.ts';
import { unsupported } from '../../xds/unpack.ts';
import {
  type KeyPair,
  type MaterialStore,
  readPair,
  readTrust,
  refuseUnsupported,
  SECRET_MISSING,
  type TrustMaterial,
} from './material.ts';
import { compileSanMatchers, type Expectation } from './verify.ts';

export interface ReadyContext {
  readonly secureContext: SecureContext;
  readonly expected: Expectation;
  /** Whether the chain is verified: there is a CA, and ACCEPT_UNTRUSTED is not set. */
  readonly verifies: boolean;
  readonly hasCertificate: boolean;
  /** The same for contexts that show and ask for the same, and for no others: by configuration and material. */
  readonly id: string;
}

/** What a context is for. */
export interface ContextSide {
  /** Of the configuration that the context is made of. */
  readonly identity: string;
  readonly options?: SecureContextOptions;
  /** Whether it gives out tickets, by which clients resume sessions. */
  readonly tickets?: boolean;
}

type TlsState = ReadyContext | { readonly missing: string };

const VERSIONS: Readonly<Partial<Record<Protocol, SecureVersion>>> = {
  [Protocol.TLSv1_0]: 'TLSv1',
  [Protocol.TLSv1_1]: 'TLSv1.1',
  [Protocol.TLSv1_2]: 'TLSv1.2',
  [Protocol.TLSv1_3]: 'TLSv1.3',
};

/** As in Envoy, `cipher_suites` concern TLS 1.2 and below only. */
const TLS13_SUITES = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';
/** Envoy's default for TLS 1.2: forward secrecy and authenticated encryption alone. */
const TLS12_SUITES = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
].join(':');

/** Throws `xds-unsupported` or `xds-invalid` for what no change of material can mend. */
function parameters(params: TlsParameters | undefined, where: string): SecureContextOptions {
  const ciphers = params?.cipherSuites.map((suite) => suite.replace(/^\[|\]$/g, '').replaceAll('|', ':')).join(':');
  const options: SecureContextOptions = {
    minVersion: VERSIONS[params?.tlsMinimumProtocolVersion ?? 0] ?? 'TLSv1.2',
    maxVersion: VERSIONS[params?.tlsMaximumProtocolVersion ?? 0] ?? 'TLSv1.3',
    ecdhCurve: params?.ecdhCurves.length ? params.ecdhCurves.join(':') : 'auto',
    ciphers: `${ciphers || TLS12_SUITES}:${TLS13_SUITES}`,
    honorCipherOrder: true,
    // A client of TLS 1.2 may ask for handshake after handshake on one connection, each of which costs the server far more.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ...(params?.signatureAlgorithms.length ? { sigalgs: params.signatureAlgorithms.map(signatureAlgorithm).join(':') } : {}),
  };
  // Nothing can be wrong with versions alone, and a context costs a quarter of a millisecond, at each of many clusters.
  if (!options.ciphers && !options.sigalgs && !params?.ecdhCurves.length) return options;
  try {
    createSecureContext(options);
  } catch (error) {
    return unsupported(`${where}.tls_params`, messageOf(error));
  }
  return options;
}

/** `rsa_pkcs1_sha256` and its kin, as OpenSSL calls them. */
function signatureAlgorithm(name: string): string {
  return name.replace(/^rsa_pkcs1_sha(\d+)$/, (_, bits: string) => `RSA+SHA${bits}`);
}

/** A context whose material may come late or change. `state` is called for each handshake and is cheap while nothing changed. */
export class TlsContext {
  readonly #config: CommonTlsContext | undefined;
  readonly #store: MaterialStore;
  readonly #base: SecureContextOptions;
  readonly #where: string;
  readonly #alpn: readonly string[];
  readonly #validation: { config: CertificateValidationContext | undefined; secret: string | undefined };
  readonly #side: ContextSide;
  #generation = -1;
  /** For which tickets are given out now. */
  #period = -1;
  #state: TlsState = { missing: SECRET_MISSING };
  /** That OpenSSL took. */
  #lastPairs: readonly KeyPair[] | undefined;

  constructor(config: CommonTlsContext | undefined, store: MaterialStore, where: string, side: ContextSide) {
    this.#config = config;
    this.#store = store;
    this.#where = where;
    this.#side = side;
    const base = parameters(config?.tlsParams, where);
    this.#base = { ...base, ...side.options, secureOptions: (base.secureOptions ?? 0) | (side.options?.secureOptions ?? 0) };
    this.#alpn = config?.alpnProtocols.filter((protocol) => protocol !== METADATA_EXCHANGE_ALPN) ?? [];
    this.#validation = validationSource(config, where);
    if (config?.customHandshaker) unsupported(`${where}.custom_handshaker`, 'not supported');
    if (config?.tlsCertificateProviderInstance) unsupported(`${where}.tls_certificate_provider_instance`, 'not supported');
    const { config: validation } = this.#validation;
    if (!validation) return;
    refuseUnsupported(validation, `${where}.validation_context`);
    // Bad matchers are refused with the resource, not at the first handshake.
    compileSanMatchers(validation, where);
  }

  /** Without that by which metadata would be exchanged. */
  get alpn(): readonly string[] {
    return this.#alpn;
  }

  get requiresTrust(): boolean {
    return this.#validation.config !== undefined || this.#validation.secret !== undefined;
  }

  state(): TlsState {
    if (this.#generation !== this.#store.generation) {
      this.#state = this.#build();
      // Reading a file for the first time may be what made the generation known; take it as it is now.
      this.#generation = this.#store.generation;
    }
    if (this.#side.tickets) this.#renewTicketKey();
    return this.#state;
  }

  /** Tickets of one context open in another of the same identity, in whichever thread, and in no other. */
  #renewTicketKey(): void {
    const { period } = this.#store.tickets;
    if (period === this.#period || 'missing' in this.#state) return;
    this.#state.secureContext.context.setTicketKeys(this.#store.tickets.key(this.#state.id));
    this.#period = period;
  }

  #build(): TlsState {
    const pairs = this.#pairs();
    if ('missing' in pairs) return pairs;
    const trust = this.#trust();
    if (trust && 'missing' in trust) return trust;
    const id = this.#id(pairs, trust);
    if ('id' in this.#state && this.#state.id === id) return this.#state;
    try {
      return this.#made(pairs, trust, id);
    } catch (error) {
      return this.#withLastPairs(trust) ?? { missing: messageOf(error) };
    }
  }

  /** Of a certificate and a key that are replaced one after the other the last good pair stays; whom it lets in is what is in force now. */
  #withLastPairs(trust: TrustMaterial | undefined): TlsState | undefined {
    if (!this.#lastPairs) return undefined;
    const id = this.#id(this.#lastPairs, trust);
    if ('id' in this.#state && this.#state.id === id) return this.#state;
    try {
      return this.#made(this.#lastPairs, trust, id);
    } catch {
      return undefined;
    }
  }

  /** Throws where OpenSSL does not take it. */
  #made(pairs: readonly KeyPair[], trust: TrustMaterial | undefined, id: string): TlsState {
    const secureContext = createSecureContext({
      ...this.#base,
      ...(pairs.length > 0
        ? { cert: pairs.map(({ chain }) => chain), key: pairs.map(({ key, passphrase }) => ({ pem: key, passphrase })) }
        : {}),
      // Else OpenSSL refuses to resume sessions of clients that showed a certificate.
      ...(this.#side.tickets ? { sessionIdContext: id.slice(0, 32) } : {}),
      ca: trust?.ca ?? [],
      ...(trust?.crl ? { crl: trust.crl } : {}),
    });
    const { config } = trust ?? {};
    this.#lastPairs = pairs;
    this.#period = -1;
    return {
      secureContext,
      id,
      hasCertificate: pairs.length > 0,
      verifies: trust?.ca !== undefined && config?.trustChainVerification !== TrustChain.ACCEPT_UNTRUSTED,
      expected: {
        sans: config ? compileSanMatchers(config, this.#where) : [],
        hashes: config?.verifyCertificateHash.map((hash) => hash.replaceAll(':', '').toLowerCase()) ?? [],
        spki: config?.verifyCertificateSpki ?? [],
      },
    };
  }

  #id(pairs: readonly KeyPair[], trust: TrustMaterial | undefined): string {
    const hash = createHash('sha256').update(this.#side.identity);
    const add = (part: Uint8Array = Buffer.alloc(0)) => hash.update(`${part.length} `).update(part);
    for (const { chain, key } of pairs) {
      add(chain);
      add(key);
    }
    if (trust) {
      add(trust.ca);
      add(trust.crl);
      add(toBinary(CertificateValidationContextSchema, { ...trust.config, trustedCa: undefined, crl: undefined }));
    }
    return hash.digest('hex');
  }

  #pairs(): KeyPair[] | { readonly missing: string } {
    const read = this.#store.read.bind(this.#store);
    const pairs: KeyPair[] = [];
    const configs = [...(this.#config?.tlsCertificates ?? [])];
    for (const { name } of this.#config?.tlsCertificateSdsSecretConfigs ?? []) {
      const secret = this.#store.secret(name);
      if (secret?.type.case !== 'tlsCertificate') return { missing: SECRET_MISSING };
      configs.push(secret.type.value);
    }
    for (const config of configs) {
      const pair = readPair(config, read);
      if ('missing' in pair) return pair;
      pairs.push(pair);
    }
    return pairs;
  }

  #trust(): TrustMaterial | { readonly missing: string } | undefined {
    const read = this.#store.read.bind(this.#store);
    const { config, secret: name } = this.#validation;
    if (name === undefined) return config && readTrust(config, read);
    const secret = this.#store.secret(name);
    if (secret?.type.case !== 'validationContext') return { missing: SECRET_MISSING };
    return readTrust(config ? merged(config, secret.type.value) : secret.type.value, read);
  }
}

/** As in Envoy's combined context: what the secret sets wins, lists are joined. */
function merged(base: CertificateValidationContext, secret: CertificateValidationContext): CertificateValidationContext {
  return {
    ...base,
    trustedCa: secret.trustedCa ?? base.trustedCa,
    systemRootCerts: secret.systemRootCerts ?? base.systemRootCerts,
    crl: secret.crl ?? base.crl,
    matchTypedSubjectAltNames: [...base.matchTypedSubjectAltNames, ...secret.matchTypedSubjectAltNames],
    matchSubjectAltNames: [...base.matchSubjectAltNames, ...secret.matchSubjectAltNames],
    verifyCertificateHash: [...base.verifyCertificateHash, ...secret.verifyCertificateHash],
    verifyCertificateSpki: [...base.verifyCertificateSpki, ...secret.verifyCertificateSpki],
    trustChainVerification: secret.trustChainVerification || base.trustChainVerification,
  };
}

function validationSource(config: CommonTlsContext | undefined, where: string) {
  const type = config?.validationContextType;
  switch (type?.case) {
    case undefined:
      return { config: undefined, secret: undefined };
    case 'validationContext':
      return { config: type.value, secret: undefined };
    case 'validationContextSdsSecretConfig':
      return { config: undefined, secret: type.value.name };
    case 'combinedValidationContext':
      return { config: type.value.defaultValidationContext, secret: type.value.validationContextSdsSecretConfig?.name };
    default:
      return unsupported(`${where}.validation_context_type`, `${type?.case} is not supported`);
  }
}
