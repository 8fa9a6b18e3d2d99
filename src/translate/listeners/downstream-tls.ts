/** TLS that a gateway's server terminates. */
import { create } from '@bufbuild/protobuf';
import type { MeshConfig, ServerTlsSettings } from '../../api/index.ts';
import type { TransportSocket } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { TransportSocketSchema } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import {
  CertificateValidationContextSchema,
  TlsParameters_TlsProtocol,
} from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import type { SdsSecretConfig } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import {
  type CommonTlsContext,
  CommonTlsContextSchema,
  DownstreamTlsContextSchema,
} from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import type { GatewayServer } from '../gateways.ts';
import { downstreamMeshTls } from '../mesh-tls.ts';
import { typedConfig } from '../proto.ts';
import type { SecretReferences } from '../secrets.ts';
import { TLS_TRANSPORT_SOCKET } from '../tls-context.ts';

const { TLS_AUTO, TLSv1_0, TLSv1_1, TLSv1_2, TLSv1_3 } = TlsParameters_TlsProtocol;
const VERSION = { TLS_AUTO, TLSV1_0: TLSv1_0, TLSV1_1: TLSv1_1, TLSV1_2: TLSv1_2, TLSV1_3: TLSv1_3 } as const;

export function downstreamTls(secrets: SecretReferences, config: MeshConfig, { server, gateway }: GatewayServer): TransportSocket {
  const tls = server.tls!;
  if (tls.mode === 'ISTIO_MUTUAL') return downstreamMeshTls(secrets, config);
  const common = create(CommonTlsContextSchema, {
    alpnProtocols: ['h2', 'http/1.1'],
    tlsParams: {
      tlsMinimumProtocolVersion: VERSION[tls.minProtocolVersion],
      tlsMaximumProtocolVersion: VERSION[tls.maxProtocolVersion],
      cipherSuites: [...tls.cipherSuites],
      ecdhCurves: [...tls.ecdhCurves],
    },
    tlsCertificateSdsSecretConfigs: certificates(secrets, tls, gateway),
  });
  const verified = tls.mode === 'MUTUAL' || tls.mode === 'OPTIONAL_MUTUAL';
  if (verified) common.validationContextType = clientValidation(secrets, tls, gateway);
  return create(TransportSocketSchema, {
    name: TLS_TRANSPORT_SOCKET,
    configType: typedConfig(DownstreamTlsContextSchema, { commonTlsContext: common, requireClientCertificate: tls.mode === 'MUTUAL' }),
  });
}

type Gateway = GatewayServer['gateway'];

function certificates(secrets: SecretReferences, tls: ServerTlsSettings, gateway: Gateway): SdsSecretConfig[] {
  if (tls.credentialName) return [secrets.credential(tls.credentialName, gateway)];
  if (tls.credentialNames.length > 0) return tls.credentialNames.map((name) => secrets.credential(name, gateway));
  const files = tls.tlsCertificates.length > 0 ? tls.tlsCertificates : [tls];
  return files.map(({ serverCertificate, privateKey }) => secrets.fileCertificate(serverCertificate ?? '', privateKey ?? ''));
}

function clientValidation(secrets: SecretReferences, tls: ServerTlsSettings, gateway: Gateway): CommonTlsContext['validationContextType'] {
  const defaultValidationContext = create(CertificateValidationContextSchema, {
    matchSubjectAltNames: tls.subjectAltNames.map((value) => ({ matchPattern: { case: 'exact' as const, value } })),
    verifyCertificateSpki: [...tls.verifyCertificateSpki],
    verifyCertificateHash: [...tls.verifyCertificateHash],
    ...(tls.caCrl && { crl: { specifier: { case: 'filename', value: tls.caCrl } } }),
  });
  const validationContextSdsSecretConfig = clientAuthority(secrets, tls, gateway);
  return {
    case: 'combinedValidationContext',
    value: {
      $typeName: 'envoy.extensions.transport_sockets.tls.v3.CommonTlsContext.CombinedCertificateValidationContext',
      defaultValidationContext,
      validationContextSdsSecretConfig,
    },
  };
}

function clientAuthority(secrets: SecretReferences, tls: ServerTlsSettings, gateway: Gateway): SdsSecretConfig {
  const credential = tls.caCertCredentialName ?? tls.credentialName ?? tls.credentialNames[0];
  if (credential) return secrets.credentialCa(credential, gateway);
  return secrets.fileCa(tls.caCertificates ?? tls.tlsCertificates[0]?.caCertificates ?? '');
}
