/** What a peer certificate must be beyond a valid chain: names, hashes. And the words in which Envoy reports a failure. */
import { createHash, X509Certificate } from 'node:crypto';
import type { PeerCertificate as NodePeerCertificate } from 'node:tls';
import { table } from '../../lib/table.ts';
import {
  type CertificateValidationContext,
  SubjectAltNameMatcher_SanType as SanType,
} from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import type { StringMatcher } from '../../xds/gen/envoy/type/matcher/v3/string_pb.js';
import { compileStringMatcher } from '../../xds/match/string.ts';
import { unsupported } from '../../xds/unpack.ts';
import type { PeerCertificate } from '../types.ts';

interface AltName {
  readonly type: 'dns' | 'uri' | 'ip' | 'email' | 'other';
  readonly value: string;
}

const TYPES: Readonly<Record<string, AltName['type']>> = table({ DNS: 'dns', URI: 'uri', 'IP Address': 'ip', email: 'email' });

/** Node's `subjectaltname` text, e.g. `DNS:a.example, URI:spiffe://b`; values with odd characters stand in JSON quotes. */
export function parseAltNames(text: string | undefined): AltName[] {
  const out: AltName[] = [];
  let rest = text ?? '';
  while (rest !== '') {
    const match = /^([^:]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/.exec(rest);
    if (!match) break;
    const [whole, type, raw] = match as unknown as [string, string, string];
    out.push({ type: TYPES[type] ?? 'other', value: raw.startsWith('"') ? (JSON.parse(raw) as string) : raw });
    rest = rest.slice(whole.length);
  }
  return out;
}

/** RFC 6125: a wildcard stands for the whole first label and nothing else. */
export function dnsNameMatches(name: string, pattern: string): boolean {
  const host = name.toLowerCase().replace(/\.$/, '');
  const want = pattern.toLowerCase();
  if (host === want) return true;
  if (!want.startsWith('*.')) return false;
  const dot = host.indexOf('.');
  return dot > 0 && host.slice(dot) === want.slice(1);
}

interface SanMatcher {
  readonly text: string;
  matches(name: AltName): boolean;
}

const SAN_TYPES: Readonly<Partial<Record<SanType, AltName['type']>>> = {
  [SanType.DNS]: 'dns',
  [SanType.URI]: 'uri',
  [SanType.IP_ADDRESS]: 'ip',
  [SanType.EMAIL]: 'email',
};

/** Throws `xds-unsupported` for OTHER_NAME and `xds-invalid` for a matcher without a pattern. */
export function compileSanMatchers(config: CertificateValidationContext, where: string): SanMatcher[] {
  const typed = config.matchTypedSubjectAltNames.map(({ sanType, matcher }) => {
    const type = SAN_TYPES[sanType];
    if (!type || !matcher)
      return unsupported(where, 'match_typed_subject_alt_names: san_type must be DNS, URI, IP_ADDRESS or EMAIL, with a matcher');
    return sanMatcher(matcher, (name) => name.type === type);
  });
  const any = config.matchSubjectAltNames.map((matcher) => sanMatcher(matcher, (name) => name.type !== 'other'));
  return [...typed, ...any];
}

function sanMatcher(matcher: StringMatcher, applies: (name: AltName) => boolean): SanMatcher {
  const { matchPattern } = matcher;
  if (matchPattern.case === 'exact') return exactSan(matchPattern.value, applies);
  const predicate = compileStringMatcher(matcher);
  const value = matchPattern.case === 'safeRegex' ? matchPattern.value.regex : matchPattern.value;
  return { text: String(value), matches: (name) => applies(name) && predicate(name.value) };
}

/** The name itself; a DNS name of the certificate may be a wildcard that covers it. */
export function exactSan(value: string, applies: (name: AltName) => boolean = () => true): SanMatcher {
  return {
    text: value,
    matches: (name) => applies(name) && (name.type === 'dns' ? dnsNameMatches(value, name.value) : name.value === value),
  };
}

export interface Expectation {
  readonly sans: readonly SanMatcher[];
  /** SHA-256 of the certificate in lower-case hex. */
  readonly hashes: readonly string[];
  /** SHA-256 of the public key in base64. */
  readonly spki: readonly string[];
}

/** Why the certificate is not what is expected, or undefined. */
export function checkCertificate(certificate: NodePeerCertificate, expected: Expectation): string | undefined {
  const names = parseAltNames(certificate.subjectaltname);
  if (expected.sans.length > 0 && !names.some((name) => expected.sans.some((matcher) => matcher.matches(name)))) {
    const list = (texts: readonly string[]) => `[${texts.join(', ')}]`;
    return `verify SAN list, expected SANs: ${list(expected.sans.map(({ text }) => text))}, certificate SANs: ${list(names.map(({ value }) => value))}`;
  }
  if (expected.hashes.length === 0 && expected.spki.length === 0) return undefined;
  const hash = hexOf(certificate.fingerprint256);
  if (expected.hashes.includes(hash)) return undefined;
  const spki = new X509Certificate(certificate.raw).publicKey.export({ type: 'spki', format: 'der' });
  if (expected.spki.includes(createHash('sha256').update(spki).digest('base64'))) return undefined;
  return 'verify hash and SPKI: neither matches';
}

function hexOf(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase();
}

/** OpenSSL's verification errors in the words that Envoy logs. */
const CHAIN_ERRORS: Readonly<Record<string, string>> = table({
  UNABLE_TO_GET_ISSUER_CERT: 'unable to get issuer certificate',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unable to get local issuer certificate',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unable to get local issuer certificate',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self signed certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'self signed certificate in certificate chain',
  CERT_HAS_EXPIRED: 'certificate has expired',
  CERT_NOT_YET_VALID: 'certificate is not yet valid',
  CERT_REVOKED: 'certificate revoked',
  INVALID_PURPOSE: 'unsupported certificate purpose',
});

/** Envoy's transport failure reason for a certificate that was refused; `why` is a sentence or a chain error's code. */
export function certificateFailure(why: string): string {
  const chain = CHAIN_ERRORS[why];
  const text = chain ? `X509_verify_cert: certificate verification error at depth 0: ${chain}` : why;
  return `TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify cert failed: ${text}:TLS_error_end`;
}

/** A peer certificate as logs and policies see it; undefined if the peer sent none. */
export function peerCertificate(certificate: NodePeerCertificate | undefined): PeerCertificate | undefined {
  if (!certificate?.fingerprint256) return undefined;
  const names = parseAltNames(certificate.subjectaltname);
  return {
    uriSans: names.filter(({ type }) => type === 'uri').map(({ value }) => value),
    dnsSans: names.filter(({ type }) => type === 'dns').map(({ value }) => value),
    subject: subjectText(certificate.subject as unknown as Record<string, string | string[]>),
    sha256: hexOf(certificate.fingerprint256),
  };
}

/** RFC 2253: the last attribute first, joined by commas. */
function subjectText(subject: Readonly<Record<string, string | string[]>> | undefined): string {
  return Object.entries(subject ?? {})
    .flatMap(([key, value]) => (Array.isArray(value) ? value : [value]).map((one) => `${key}=${one.replace(/([,+"\\<>;])/g, '\\$1')}`))
    .reverse()
    .join(',');
}
