/** TLS that a cluster originates, from a DestinationRule's `tls`. */
import { create } from '@bufbuild/protobuf';
import type { ClientTlsSettings } from '../api/index.ts';
import type { Resource } from '../api/resource.ts';
import type { Service } from '../registry/model.ts';
import type { TransportSocket } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { TransportSocketSchema } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { UpstreamHttpProtocolOptionsSchema } from '../xds/gen/envoy/config/core/v3/protocol_pb.js';
import {
  type CertificateValidationContext,
  CertificateValidationContextSchema,
  TlsParameters_TlsProtocol,
} from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import type { SdsSecretConfig } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import {
  type CommonTlsContext,
  CommonTlsContextSchema,
  UpstreamTlsContextSchema,
} from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { type ClusterDraft, httpOptions, isHttp2Draft } from './clusters-policy.ts';
import { typedConfig } from './proto.ts';
import type { SecretReferences } from './secrets.ts';

export const TLS_TRANSPORT_SOCKET = 'envoy.transport_sockets.tls';

/** Sets the TLS of modes SIMPLE and MUTUAL; `behind` are the names that servers may have where the rule says none, `origin` is the DestinationRule. The caller refuses the other modes or leaves them plain. */
export function applyUpstreamTls(
  draft: ClusterDraft,
  tls: ClientTlsSettings,
  service: Service,
  behind: readonly string[],
  secrets: SecretReferences,
  origin: Resource,
): void {
  applyAutoSni(draft, tls, service);
  // What a ServiceEntry knows of its servers stands in for the names of the rule.
  const names = tls.subjectAltNames.length > 0 || service.registry !== 'External' ? tls.subjectAltNames : behind;
  const common = create(CommonTlsContextSchema, {
    tlsParams: {
      tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_2,
      tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
    },
    ...(isHttp2Draft(draft) ? { alpnProtocols: ['h2'] } : {}),
  });
  if (tls.mode === 'MUTUAL') common.tlsCertificateSdsSecretConfigs = clientCertificate(tls, secrets, origin);
  common.validationContextType = validation(tls, names, secrets, origin);
  draft.cluster.transportSocket = transportSocket(common, tls.sni ?? '');
}

function transportSocket(commonTlsContext: CommonTlsContext, sni: string): TransportSocket {
  return create(TransportSocketSchema, {
    name: TLS_TRANSPORT_SOCKET,
    configType: typedConfig(UpstreamTlsContextSchema, { commonTlsContext, sni }),
  });
}

/**
 * Without an SNI of its own a rule takes the request's host for it, and the server's certificate must then name that host. Of names that are looked up
 * as they are called (DYNAMIC_DNS) it must do so in any case: the rule's names stand for all of them.
 */
export function applyAutoSni(
  draft: ClusterDraft,
  { sni, subjectAltNames, insecureSkipVerify }: Pick<ClientTlsSettings, 'sni' | 'subjectAltNames' | 'insecureSkipVerify'>,
  { resolution }: Service,
): void {
  const verifiesHost = !insecureSkipVerify && (resolution === 'DynamicDNS' || (!sni && subjectAltNames.length === 0));
  if (sni && !verifiesHost) return;
  httpOptions(draft).upstreamHttpProtocolOptions = create(UpstreamHttpProtocolOptionsSchema, {
    autoSni: !sni,
    autoSanValidation: verifiesHost,
  });
}

function clientCertificate(tls: ClientTlsSettings, secrets: SecretReferences, origin: Resource): SdsSecretConfig[] {
  if (tls.credentialName) return [secrets.credential(tls.credentialName, origin)];
  return [secrets.fileCertificate(tls.clientCertificate ?? '', tls.privateKey ?? '')];
}

function validation(
  tls: ClientTlsSettings,
  names: readonly string[],
  secrets: SecretReferences,
  origin: Resource,
): CommonTlsContext['validationContextType'] {
  if (tls.insecureSkipVerify) return { case: 'validationContext', value: create(CertificateValidationContextSchema) };
  return {
    case: 'combinedValidationContext',
    value: {
      $typeName: 'envoy.extensions.transport_sockets.tls.v3.CommonTlsContext.CombinedCertificateValidationContext',
      defaultValidationContext: nameValidation(tls, names),
      validationContextSdsSecretConfig: authority(tls, secrets, origin),
    },
  };
}

function nameValidation(tls: ClientTlsSettings, names: readonly string[]): CertificateValidationContext {
  return create(CertificateValidationContextSchema, {
    matchSubjectAltNames: names.map((exact) => ({ matchPattern: { case: 'exact' as const, value: exact } })),
    ...(tls.caCrl ? { crl: { specifier: { case: 'filename', value: tls.caCrl } } } : {}),
  });
}

function authority(tls: ClientTlsSettings, secrets: SecretReferences, origin: Resource): SdsSecretConfig {
  // Of a rule that somebody wrote it has the CA, too: nothing else may stand beside it.
  if (tls.credentialName && !tls.caCertificates) return secrets.credentialCa(tls.credentialName, origin);
  return !tls.caCertificates || tls.caCertificates === 'system' ? secrets.systemCa() : secrets.fileCa(tls.caCertificates);
}
