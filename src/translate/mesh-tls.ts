/** The mesh's own mutual TLS, with identities that its CA gives (ISTIO_MUTUAL, and what is automatic). */
import { create } from '@bufbuild/protobuf';
import type { MeshConfig } from '../api/index.ts';
import { SPIFFE } from '../lib/spiffe.ts';
import { type Cluster, ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { type TransportSocket, TransportSocketSchema } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { RawBufferSchema } from '../xds/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js';
import { TlsParameters_TlsProtocol } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import {
  type CommonTlsContext,
  CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { typedConfig } from './proto.ts';
import type { SecretReferences } from './secrets.ts';
import { TLS_TRANSPORT_SOCKET } from './tls-context.ts';

/** ALPN by which proxies of the mesh know one another. */
const TCP_ALPN = ['istio-peer-exchange', 'istio'] as const;
const HTTP_ALPN = ['istio-http/1.0', 'istio-http/1.1', 'istio-h2'] as const;

/** What an inbound chain for the mesh's TLS asks for, beside others for plain bytes and for TLS of the application's own. */
export const MESH_ALPN = { tcp: TCP_ALPN, http: HTTP_ALPN, any: ['istio', 'istio-peer-exchange', ...HTTP_ALPN] } as const;

/** Ends the mesh's TLS: whoever comes shows an identity of the mesh or of one of its other names. */
export function downstreamMeshTls(secrets: SecretReferences, { trustDomain, trustDomainAliases }: MeshConfig): TransportSocket {
  const commonTlsContext = meshContext(
    secrets,
    ['h2', 'http/1.1'],
    [trustDomain, ...trustDomainAliases].map((domain) => ({ matchPattern: { case: 'prefix', value: `${SPIFFE}${domain}/` } }) as const),
  );
  return create(TransportSocketSchema, {
    name: TLS_TRANSPORT_SOCKET,
    configType: typedConfig(DownstreamTlsContextSchema, { commonTlsContext, requireClientCertificate: true }),
  });
}

/** @param names identities that the server may have; none: any of the mesh */
export function upstreamMeshTls(secrets: SecretReferences, sni: string, names: readonly string[], http2: boolean): TransportSocket {
  const exact = names.map((value) => ({ matchPattern: { case: 'exact', value } }) as const);
  const commonTlsContext = meshContext(secrets, http2 ? [...TCP_ALPN, 'h2'] : [...TCP_ALPN], exact);
  return create(TransportSocketSchema, {
    name: TLS_TRANSPORT_SOCKET,
    configType: typedConfig(UpstreamTlsContextSchema, { commonTlsContext, sni }),
  });
}

/** By the metadata of the endpoint (`envoy.transport_socket_match`): the mesh's TLS for those that take it, nothing for the others. */
export function meshTransports(transportSocket: TransportSocket): Cluster['transportSocketMatches'] {
  const plain = create(TransportSocketSchema, {
    name: 'envoy.transport_sockets.raw_buffer',
    configType: typedConfig(RawBufferSchema, {}),
  });
  return create(ClusterSchema, {
    transportSocketMatches: [
      { name: 'tlsMode-istio', match: { tlsMode: 'istio' }, transportSocket },
      { name: 'tlsMode-disabled', match: {}, transportSocket: plain },
    ],
  }).transportSocketMatches;
}

function meshContext(
  secrets: SecretReferences,
  alpnProtocols: string[],
  names: readonly { readonly matchPattern: { readonly case: 'exact' | 'prefix'; readonly value: string } }[],
): CommonTlsContext {
  return create(CommonTlsContextSchema, {
    alpnProtocols,
    tlsParams: {
      tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_2,
      tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
    },
    tlsCertificateSdsSecretConfigs: [secrets.workloadCertificate()],
    validationContextType: {
      case: 'combinedValidationContext',
      value: {
        defaultValidationContext: { matchSubjectAltNames: names.map(({ matchPattern }) => ({ matchPattern })) },
        validationContextSdsSecretConfig: secrets.meshRoots(),
      },
    },
  });
}
