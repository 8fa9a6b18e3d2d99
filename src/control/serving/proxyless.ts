/** Which clients are gRPC itself, without a proxy. */
import type { Node } from '../../xds/gen/envoy/config/core/v3/base_pb.js';

/** As Istio's agent writes it into the bootstrap of gRPC (GRPC_XDS_BOOTSTRAP). */
export function isProxyless({ metadata }: Node): boolean {
  return metadata?.GENERATOR === 'grpc';
}
