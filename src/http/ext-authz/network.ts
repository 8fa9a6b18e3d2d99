/** Asks an external authorizer about connections (`envoy.filters.network.ext_authz`). */
import type { ExtAuthz } from '../../xds/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js';
import { unsupported } from '../../xds/unpack.ts';
import type { Undecided } from '../filters/filter.ts';
import type { DynamicMetadata, JudgedConnection } from '../rbac/subject.ts';
import { compileMetadataMatcher } from '../rbac/value.ts';
import type { SideAnswer, SideCall } from '../side-call.ts';
import { compileGrpcTarget, isAllowed, peersOf } from './grpc-check.ts';
import { whoAsks } from './who-asks.ts';

export interface NetworkExtAuthz {
  /** Whether it asks, by what filters before it have noted. */
  asks(metadata: DynamicMetadata | undefined): boolean;
  call(connection: JudgedConnection): SideCall;
  /** Why the connection ends, as `%CONNECTION_TERMINATION_DETAILS%`; undefined where it goes on. */
  refusal(answer: SideAnswer | undefined): string | undefined;
  /** For simulation, which does not ask. */
  undecided(metadata: DynamicMetadata | undefined): Undecided;
}

/** Throws `xds-unsupported` or `xds-invalid`; `where` names the filter. */
export function compileNetworkExtAuthz(config: ExtAuthz, where: string): NetworkExtAuthz {
  const { grpcService, filterEnabledMetadata, failureModeAllow, includeTlsSession } = config;
  if (config.includePeerCertificate) unsupported(`${where}.include_peer_certificate`, 'not supported');
  if (config.bootstrapMetadataLabelsKey !== '') unsupported(`${where}.bootstrap_metadata_labels_key`, 'not supported');
  if (!grpcService) return unsupported(`${where}.grpc_service`, 'there is none to ask');
  const target = compileGrpcTarget(grpcService, where);
  return {
    asks: filterEnabledMetadata ? compileMetadataMatcher(filterEnabledMetadata) : () => true,
    call: (connection) => {
      const { serverName } = connection;
      return target.call({
        attributes: { ...peersOf(connection), tlsSession: includeTlsSession && serverName !== '' ? { sni: serverName } : undefined },
      });
    },
    refusal(answer) {
      const response = target.read(answer);
      if (response) return isAllowed(response) ? undefined : 'ext_authz_denied';
      return failureModeAllow ? undefined : 'ext_authz_error';
    },
    undecided: (metadata) => whoAsks(filterEnabledMetadata, metadata, target.cluster),
  };
}
