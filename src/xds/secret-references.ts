/** The secrets that TLS settings ask a control plane for. */
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import type { TransportSocket } from './gen/envoy/config/core/v3/base_pb.js';
import type { SdsSecretConfig } from './gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import {
  type CommonTlsContext,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from './gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';

/** Of a TLS transport socket; of any other none. */
export function secretsOf(socket: TransportSocket | undefined): SdsSecretConfig[] {
  if (socket?.configType.case !== 'typedConfig') return [];
  const any = socket.configType.value;
  const context = anyUnpack(any, DownstreamTlsContextSchema) ?? anyUnpack(any, UpstreamTlsContextSchema);
  const common: CommonTlsContext | undefined = context?.commonTlsContext;
  const validation = common?.validationContextType;
  const ca =
    validation?.case === 'validationContextSdsSecretConfig'
      ? validation.value
      : validation?.case === 'combinedValidationContext'
        ? validation.value.validationContextSdsSecretConfig
        : undefined;
  return [...(common?.tlsCertificateSdsSecretConfigs ?? []), ...(ca ? [ca] : [])];
}
