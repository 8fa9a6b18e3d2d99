/** What an entry of Envoy's access log says of a call, as the embedded data plane's records say it. */
import { durationMs, timestampMs } from '@bufbuild/protobuf/wkt';
import type { ResponseFlag } from '../../../http/response-flag.ts';
import type { PlacedOrigin } from '../../../lib/origin.ts';
import { splitAddress } from '../../../lib/socket-address.ts';
import type { Told } from '../../../proxy/flow-of-call.ts';
import type { Address as ProxyAddress } from '../../../proxy/types.ts';
import type { Address } from '../../../xds/gen/envoy/config/core/v3/address_pb.js';
import { RequestMethod } from '../../../xds/gen/envoy/config/core/v3/base_pb.js';
import {
  type AccessLogCommon,
  AccessLogType,
  type HTTPAccessLogEntry,
  HTTPAccessLogEntry_HTTPVersion,
} from '../../../xds/gen/envoy/data/accesslog/v3/accesslog_pb.js';
import { SALLYPORT_METADATA } from '../../../xds/names.ts';
import type { Tag } from './listeners.ts';

export interface Entry {
  /** Of the request or connection, the same where it begins and ends; may be empty. */
  readonly id: string;
  readonly begins: boolean;
  readonly told: Told;
}

const { DownstreamStart, DownstreamEnd, TcpUpstreamConnected } = AccessLogType;
const NO_ADDRESS: ProxyAddress = { ip: '', port: 0 };

/** Undefined for an entry that says nothing. */
export function entryOf({ commonProperties: common, protocolVersion, request, response }: HTTPAccessLogEntry): Entry | undefined {
  if (!common) return undefined;
  const { accessLogType: type, startTime, duration, upstreamRemoteAddress: upstream } = common;
  const { routeOrigins, routeRefusal, clusterOrigins, clusterRefusal, cluster = '', flags } = tagsOf(common);
  const { authority = '', path = '', scheme = '', requestMethod: method = RequestMethod.METHOD_UNSPECIFIED } = request ?? {};
  return {
    id: idOf(common),
    begins: type === DownstreamStart || type === TcpUpstreamConnected,
    told: {
      downstream: downstreamOf(common),
      protocol: type === DownstreamStart || type === DownstreamEnd ? HTTPAccessLogEntry_HTTPVersion[protocolVersion] : '',
      method: method === RequestMethod.METHOD_UNSPECIFIED ? '' : RequestMethod[method],
      path,
      authority,
      scheme,
      startTime: startTime ? timestampMs(startTime) : 0,
      started: 0,
      ended: duration ? durationMs(duration) : 0,
      responseCode: response?.responseCode ?? 0,
      responseCodeDetails: response?.responseCodeDetails ?? '',
      connectionTerminationDetails: common.connectionTerminationDetails,
      flags: (flags?.split(',') ?? []) as ResponseFlag[],
      // Of a connection that is no HTTP those of the connection.
      bytesReceived: Number(request?.requestBodyBytes ?? 0),
      bytesSent: Number(response?.responseBodyBytes ?? 0),
      routeName: common.routeName,
      routeMetadata: metadataOf(routeOrigins, routeRefusal),
      clusterMetadata: metadataOf(clusterOrigins, clusterRefusal),
      upstreamCluster: cluster,
      upstreamHost: upstream && { address: addressOf(upstream) },
      upstreamTransportFailureReason: common.upstreamTransportFailureReason,
    },
  };
}

/** What Envoy names a request by is what its client may have written (`x-request-id`), on several as well: on one connection no two begin at one time. */
function idOf(common: AccessLogCommon): string {
  const { connection } = tagsOf(common);
  const { startTime } = common;
  if (connection === undefined || !startTime) return '';
  const since = startTime.seconds * 1_000_000_000n + BigInt(startTime.nanos);
  return `${connection}-${since.toString(36)}`;
}

function downstreamOf(common: AccessLogCommon): Told['downstream'] {
  const { downstreamRemoteAddress: remote, downstreamLocalAddress: local, tlsProperties: tls } = common;
  const { serverName = tls?.tlsSniHostname ?? '', directLocalAddress } = tagsOf(common);
  const localAddress = addressOf(local);
  const { ip, port } = directLocalAddress === undefined ? localAddress : splitAddress(directLocalAddress);
  const peer = tls?.peerCertificateProperties;
  const uriSans = (peer?.subjectAltName ?? []).flatMap(({ san }) => (san.case === 'uri' ? [san.value] : []));
  return {
    remoteAddress: addressOf(remote),
    localAddress,
    localAddressRestored: ip !== localAddress.ip || port !== localAddress.port,
    asked: undefined,
    serverName,
    tls: tls && { peer: peer && { uriSans } },
  };
}

function tagsOf({ customTags }: AccessLogCommon): Partial<Record<Tag, string>> {
  return Object.fromEntries(Object.entries(customTags).filter(([, value]) => value !== '' && value !== '-'));
}

function addressOf(address: Address | undefined): ProxyAddress {
  switch (address?.address.case) {
    case 'socketAddress': {
      const { address: ip, portSpecifier } = address.address.value;
      return { ip, port: portSpecifier.case === 'portValue' ? portSpecifier.value : 0 };
    }
    case 'pipe':
      return { ip: address.address.value.path, port: 0 };
    case 'envoyInternalAddress': {
      const { addressNameSpecifier: name, endpointId } = address.address.value;
      return { ip: `envoy://${name.value ?? ''}/${endpointId}`, port: 0 };
    }
    default:
      return NO_ADDRESS;
  }
}

/** As translation writes it, of what Envoy prints of it. */
function metadataOf(origins: string | undefined, refusal: string | undefined): Told['routeMetadata'] {
  if (origins === undefined && refusal === undefined) return undefined;
  return { [SALLYPORT_METADATA]: { origins: parsed(origins), refusal } };
}

function parsed(json: string | undefined): readonly PlacedOrigin[] | undefined {
  if (json === undefined) return undefined;
  try {
    const origins = JSON.parse(json) as readonly PlacedOrigin[];
    // Envoy sorts what an object has.
    return origins.map(({ kind, namespace, name, ...place }) => ({ kind, namespace, name, ...place }));
  } catch {
    // Envoy cuts what is long; where a rule stands is not worth the call.
    return undefined;
  }
}
