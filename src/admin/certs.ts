/** Envoy's `/certs`: the certificates in force, from secrets and from TLS contexts that hold them themselves. */
import { X509Certificate } from 'node:crypto';
import { create, type JsonObject, type JsonValue } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { readRegularText } from '../lib/regular-file.ts';
import { own } from '../lib/table.ts';
import { CertificatesSchema } from '../xds/gen/envoy/admin/v3/certs_pb.js';
import { ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { ListenerSchema } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { SecretSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import type { XdsResources } from '../xds/resources.ts';
import { toAdminJson } from './json.ts';

/** A certificate that is in force somewhere. */
export interface CertificateFound {
  readonly kind: 'caCert' | 'certChain';
  readonly certificate: X509Certificate;
  /** The file that it was read from, or `<inline>`. */
  readonly path: string;
}

interface Found {
  readonly kind: 'caCert' | 'certChain';
  readonly pem: string;
  readonly path: string;
}

const DAY_MS = 86_400_000;

export function certsJson(resources: XdsResources, now: number): JsonObject {
  const certificates = foundIn(resources).map(({ kind, pem, path }) => ({
    [kind]: parsePems(pem).map((certificate) => details(certificate, path, now)),
  }));
  return toAdminJson(CertificatesSchema, create(CertificatesSchema, { certificates }));
}

/** The same, one by one. */
export function certificatesIn(resources: XdsResources): CertificateFound[] {
  return foundIn(resources).flatMap(({ kind, pem, path }) => parsePems(pem).map((certificate) => ({ kind, certificate, path })));
}

function foundIn(resources: XdsResources): Found[] {
  const found: Found[] = [];
  const walk = (value: JsonValue | undefined): void => {
    if (Array.isArray(value)) value.forEach(walk);
    else if (typeof value === 'object' && value !== null) {
      collect(value.certificate_chain, 'certChain', found);
      collect(value.trusted_ca, 'caCert', found);
      Object.values(value).forEach(walk);
    }
  };
  for (const secret of resources.secrets) walk(toAdminJson(SecretSchema, secret));
  for (const listener of resources.listeners) walk(toAdminJson(ListenerSchema, listener));
  for (const cluster of resources.clusters) walk(toAdminJson(ClusterSchema, cluster));
  return found;
}

function collect(source: JsonValue | undefined, kind: Found['kind'], found: Found[]): void {
  if (typeof source !== 'object' || source === null || Array.isArray(source)) return;
  const { inline_bytes: bytes, inline_string: text, filename } = source;
  if (typeof bytes === 'string') found.push({ kind, pem: Buffer.from(bytes, 'base64').toString(), path: '<inline>' });
  else if (typeof text === 'string') found.push({ kind, pem: text, path: '<inline>' });
  else if (typeof filename === 'string') {
    try {
      found.push({ kind, pem: readRegularText(filename), path: filename });
    } catch {
      // A file that is gone is the data plane's to report; here is only what can be shown.
    }
  }
}

/** Those of a text that can be read. */
export function parsePems(text: string): X509Certificate[] {
  return (text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).flatMap((pem) => {
    try {
      return [new X509Certificate(pem)];
    } catch {
      return [];
    }
  });
}

function details(certificate: X509Certificate, path: string, now: number) {
  const expires = Date.parse(certificate.validTo);
  return {
    path,
    serialNumber: certificate.serialNumber.toLowerCase(),
    subjectAltNames: alternativeNames(certificate.subjectAltName ?? ''),
    daysUntilExpiration: BigInt(Math.max(0, Math.floor((expires - now) / DAY_MS))),
    validFrom: timestampFromMs(Date.parse(certificate.validFrom)),
    expirationTime: timestampFromMs(expires),
  };
}

type AlternativeName = { readonly name: { readonly case: 'dns' | 'uri' | 'ipAddress'; readonly value: string } };

const NAME_CASES = { DNS: 'dns', URI: 'uri', 'IP Address': 'ipAddress' } as const;

/** Node's text form: `DNS:a, URI:b, IP Address:c`. */
function alternativeNames(text: string): AlternativeName[] {
  return text.split(', ').flatMap((entry): AlternativeName[] => {
    const colon = entry.indexOf(':');
    const kind = own(NAME_CASES, entry.slice(0, colon));
    return kind ? [{ name: { case: kind, value: entry.slice(colon + 1) } }] : [];
  });
}
