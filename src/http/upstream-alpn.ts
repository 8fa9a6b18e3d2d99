/**
 * What a connection manager has TLS upstream offer in place of what clusters name (Istio's filter `istio.alpn`): by it the mesh's servers tell HTTP from
 * other bytes before they have seen any.
 */
import type { Cluster } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import type { HttpConnectionManager } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { type FilterConfig, FilterConfigSchema, FilterConfig_Protocol as Protocol } from '../xds/gen/istio/alpn_pb.js';
import { typeNameOf, unpack } from '../xds/unpack.ts';

/** By protocol of the connection upstream; empty lists change nothing. */
export interface UpstreamAlpn {
  readonly http1: readonly string[];
  readonly http2: readonly string[];
}

/** Throws `xds-invalid` for a filter that does not decode. */
export function upstreamAlpnOf({ httpFilters, statPrefix }: HttpConnectionManager): UpstreamAlpn | undefined {
  for (const { configType, disabled, name } of httpFilters) {
    const any = configType.case === 'typedConfig' && !disabled ? configType.value : undefined;
    if (typeNameOf(any) !== FilterConfigSchema.typeName) continue;
    const filter = unpack(any, FilterConfigSchema, `HTTP connection manager "${statPrefix}", filter "${name}"`);
    return { http1: listOf(filter, Protocol.HTTP11), http2: listOf(filter, Protocol.HTTP2) };
  }
  return undefined;
}

function listOf({ alpnOverride }: FilterConfig, protocol: Protocol): readonly string[] {
  return alpnOverride.find(({ upstreamProtocol }) => upstreamProtocol === protocol)?.alpnOverride ?? [];
}

/** Whether a cluster keeps its own: those whose TLS is not the mesh's say so. */
export function keepsOwnAlpn({ metadata }: Cluster): boolean {
  return metadata?.filterMetadata.istio?.alpn_override === 'false';
}
