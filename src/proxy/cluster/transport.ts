/** How a cluster's connections are secured: its transport socket, or one chosen by the endpoint's metadata (`transport_socket_matches`). */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { Cluster } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import type { TransportSocket } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { InternalUpstreamTransportSchema } from '../../xds/gen/envoy/extensions/transport_sockets/internal_upstream/v3/internal_upstream_pb.js';
import { UpstreamTlsContextSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { typeNameOf, unpack, unsupported } from '../../xds/unpack.ts';
import { type ClientTls, createClientTls } from '../tls/client.ts';
import type { MaterialStore } from '../tls/material.ts';

/** Undefined: plain TCP. */
type Transport = ClientTls | undefined;

export type TransportChoice = (endpoint: JsonObject | undefined) => Transport;

export function readTransports(config: Cluster, store: MaterialStore): TransportChoice {
  const where = `cluster "${config.name}"`;
  const fallback = readTransport(config.transportSocket, store, `${where}.transport_socket`);
  const matches = config.transportSocketMatches.map(({ name, match, transportSocket }) => ({
    match: Object.entries(match ?? {}),
    transport: readTransport(transportSocket, store, `${where}.transport_socket_matches "${name}"`),
  }));
  if (matches.length === 0) return () => fallback;
  return (endpoint) => {
    const found = matches.find(({ match }) => match.every(([key, value]) => endpoint !== undefined && same(endpoint[key], value)));
    return found ? found.transport : fallback;
  };
}

function same(a: JsonValue | undefined, b: JsonValue): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

function readTransport(config: TransportSocket | undefined, store: MaterialStore, where: string): Transport {
  if (!config) return undefined;
  const any = config.configType.value;
  switch (typeNameOf(any)) {
    case 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext':
      return createClientTls(unpack(any, UpstreamTlsContextSchema, where), store, where);
    // What it passes on is read where the endpoint is (`endpoints.ts`).
    case 'envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport':
      return readTransport(unpack(any, InternalUpstreamTransportSchema, where).transportSocket, store, where);
    case 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer':
      return undefined;
    case '':
      if (config.name === 'envoy.transport_sockets.raw_buffer') return undefined;
      return unsupported(where, `"${config.name}" has no typed_config`);
    default:
      return unsupported(where, `the transport socket "${config.name}" (${typeNameOf(any)}) is not supported`);
  }
}
