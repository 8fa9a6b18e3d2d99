/** TLS that a cluster originates, as `security.ts` compares it. Pure. */
import { nodeCrypto } from '../lib/node-crypto.ts';
import type { DataSource } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import {
  type CertificateValidationContext,
  CertificateValidationContext_TrustChainVerification,
  type TlsCertificate,
} from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import type { CommonTlsContext } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import type { StringMatcher } from '../xds/gen/envoy/type/matcher/v3/string_pb.js';
import { ROOT_SECRET } from '../xds/names.ts';
import type { SimulatedProxy } from './proxy.ts';
import type { OriginatedTls } from './security.ts';

type Secrets = Pick<SimulatedProxy, 'secret'>;

/** @param checked the name that the certificate must have because it is the one called; undefined if that is not asked for */
export function originatedTls(
  secrets: Secrets,
  common: CommonTlsContext | undefined,
  serverName: string,
  checked: string | undefined,
): OriginatedTls {
  const { own, secret } = validationOf(common);
  const identity = identityOf(secrets, common);
  const trusts = secret !== undefined || own?.trustedCa !== undefined || own?.systemRootCerts !== undefined;
  if (!trusts || own?.trustChainVerification === CertificateValidationContext_TrustChainVerification.ACCEPT_UNTRUSTED)
    return { serverName, verifies: 'nothing', authorities: '', names: [], revocations: '', identity };
  if (secret === ROOT_SECRET)
    return { serverName, verifies: 'mesh', authorities: 'the mesh', names: listsOf(namesOf(own)), revocations: '', identity };
  const names = listsOf(checked === undefined ? [] : [checked], namesOf(own));
  const given = secret === undefined ? undefined : secrets.secret(secret)?.type;
  const held = given?.case === 'validationContext' ? given.value : undefined;
  const source = own?.trustedCa ?? held?.trustedCa;
  const crl = own?.crl ?? held?.crl;
  return {
    serverName,
    verifies: names.length > 0 ? 'name' : 'chain',
    authorities: secret === SYSTEM_ROOTS || (!source && own?.systemRootCerts) ? "the system's CAs" : `CA ${placeOf(secret, source)}`,
    names,
    revocations: crl ? placeOf(undefined, crl) : '',
    identity,
  };
}

/** As Istio and Envoy call the operating system's CAs. */
const SYSTEM_ROOTS = 'file-root:system';

function validationOf(common: CommonTlsContext | undefined): {
  readonly own: CertificateValidationContext | undefined;
  readonly secret: string | undefined;
} {
  const validation = common?.validationContextType;
  switch (validation?.case) {
    case 'validationContext':
      return { own: validation.value, secret: undefined };
    case 'validationContextSdsSecretConfig':
      return { own: undefined, secret: validation.value.name };
    case 'combinedValidationContext':
      return { own: validation.value.defaultValidationContext, secret: validation.value.validationContextSdsSecretConfig?.name };
    default:
      return { own: undefined, secret: undefined };
  }
}

/** Those that are not empty; one that has the name that is needed anyway asks for nothing more. */
function listsOf(...lists: readonly (readonly string[])[]): OriginatedTls['names'] {
  const [first, ...others] = lists.filter((list) => list.length > 0);
  return first ? [first, ...others.filter((list) => !first.every((name) => list.includes(name)))] : [];
}

function namesOf(own: CertificateValidationContext | undefined): string[] {
  const all = [...(own?.matchSubjectAltNames ?? []), ...(own?.matchTypedSubjectAltNames ?? []).flatMap(({ matcher }) => matcher ?? [])];
  return [...new Set(all.map(patternText))].sort();
}

function patternText({ matchPattern }: StringMatcher): string {
  switch (matchPattern.case) {
    case 'exact':
      return matchPattern.value;
    case 'prefix':
      return `${matchPattern.value}*`;
    case 'suffix':
      return `*${matchPattern.value}`;
    case 'contains':
      return `*${matchPattern.value}*`;
    case 'safeRegex':
      return `/${matchPattern.value.regex}/`;
    default:
      return matchPattern.case ?? '';
  }
}

function identityOf(secrets: Secrets, common: CommonTlsContext | undefined): string {
  const [secret] = common?.tlsCertificateSdsSecretConfigs ?? [];
  if (secret) {
    const type = secrets.secret(secret.name)?.type;
    const subject = type?.case === 'tlsCertificate' ? subjectOf(type.value) : undefined;
    return subject === undefined ? secret.name : `${secret.name} (${subject})`;
  }
  const [own] = common?.tlsCertificates ?? [];
  return own ? (subjectOf(own) ?? placeOf(undefined, own.certificateChain)) : '';
}

const subjects = new WeakMap<TlsCertificate, string | undefined>();

/** Whom a certificate names: a renewed one names the same. Undefined for one that is elsewhere. */
function subjectOf(certificate: TlsCertificate): string | undefined {
  if (!subjects.has(certificate)) {
    const bytes = bytesOf(certificate.certificateChain);
    subjects.set(certificate, bytes && namedIn(bytes));
  }
  return subjects.get(certificate);
}

function namedIn(bytes: Uint8Array): string | undefined {
  try {
    const { subject, subjectAltName } = new (nodeCrypto().X509Certificate)(bytes);
    return [...(subject?.split('\n') ?? []), ...(subjectAltName ? [subjectAltName] : [])].join(', ') || undefined;
  } catch {
    return undefined;
  }
}

/** Where certificates are, and which they are where they can be seen. */
function placeOf(secret: string | undefined, source: DataSource | undefined): string {
  const bytes = bytesOf(source);
  const file = source?.specifier.case === 'filename' ? source.specifier.value : undefined;
  const where = secret?.startsWith('file-root:') ? secret.slice('file-root:'.length) : (secret ?? file ?? '');
  return [where, bytes && `sha256 ${digestOf(bytes)}`].filter(Boolean).join(', ');
}

const digests = new WeakMap<Uint8Array, string>();

function digestOf(bytes: Uint8Array): string {
  const known = digests.get(bytes) ?? nodeCrypto().createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  digests.set(bytes, known);
  return known;
}

function bytesOf(source: DataSource | undefined): Uint8Array | undefined {
  if (source?.specifier.case === 'inlineBytes') return source.specifier.value;
  return source?.specifier.case === 'inlineString' ? Buffer.from(source.specifier.value, 'utf8') : undefined;
}
