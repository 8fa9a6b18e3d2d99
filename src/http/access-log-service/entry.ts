/** What a request or connection leaves behind, as an access log service is told it (envoy/data/accesslog/v3/accesslog.proto). */
import { create, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import { RequestMethod } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import {
  type AccessLogCommonSchema,
  AccessLogType,
  type HTTPAccessLogEntry,
  HTTPAccessLogEntry_HTTPVersion,
  HTTPAccessLogEntrySchema,
  type TCPAccessLogEntry,
  TCPAccessLogEntrySchema,
  TLSProperties_TLSVersion,
  type TLSPropertiesSchema,
} from '../../xds/gen/envoy/data/accesslog/v3/accesslog_pb.js';
import type { FormatAddress, FormatCertificate, FormatRecord, FormatTls } from '../format/record.ts';
import type { HeaderMap } from '../header-map.ts';
import type { ResponseFlag } from '../response-flag.ts';
import { flagsMessage } from './flags.ts';

/** Names of headers, in lower case, that are told besides. */
export interface ToldHeaders {
  readonly request: readonly string[];
  readonly response: readonly string[];
  readonly trailers: readonly string[];
}

const { UNSPECIFIED, HTTP10, HTTP11, HTTP2, HTTP3 } = {
  UNSPECIFIED: HTTPAccessLogEntry_HTTPVersion.PROTOCOL_UNSPECIFIED,
  ...HTTPAccessLogEntry_HTTPVersion,
};
const VERSIONS = new Map([
  ['HTTP/1.0', HTTP10],
  ['HTTP/1.1', HTTP11],
  ['HTTP/2', HTTP2],
  ['HTTP/3', HTTP3],
]);
const TLS_VERSIONS = new Map([
  ['TLSv1', TLSProperties_TLSVersion.TLSv1],
  ['TLSv1.1', TLSProperties_TLSVersion.TLSv1_1],
  ['TLSv1.2', TLSProperties_TLSVersion.TLSv1_2],
  ['TLSv1.3', TLSProperties_TLSVersion.TLSv1_3],
]);

/** @param id of the request or connection */
export function httpEntry(record: FormatRecord, id: string, told: ToldHeaders): HTTPAccessLogEntry {
  const { requestHeaders, responseHeaders, responseTrailers } = record;
  const header = (name: string) => requestHeaders?.get(name) ?? '';
  return create(HTTPAccessLogEntrySchema, {
    commonProperties: commonOf(record, id),
    protocolVersion: VERSIONS.get(record.protocol) ?? UNSPECIFIED,
    request: {
      requestMethod: methodOf(record.method),
      scheme: record.scheme,
      authority: record.authority,
      path: record.path,
      userAgent: header('user-agent'),
      referer: header('referer'),
      forwardedFor: header('x-forwarded-for'),
      requestId: header('x-request-id'),
      originalPath: header('x-envoy-original-path'),
      requestBodyBytes: BigInt(record.bytesReceived),
      requestHeaders: named(requestHeaders, told.request),
    },
    response: {
      ...(record.responseCode > 0 && { responseCode: record.responseCode }),
      responseBodyBytes: BigInt(record.bytesSent),
      responseHeaders: named(responseHeaders, told.response),
      responseTrailers: named(responseTrailers, told.trailers),
      responseCodeDetails: record.responseCodeDetails,
    },
  });
}

/** @param id of the request or connection */
export function tcpEntry(record: FormatRecord, id: string): TCPAccessLogEntry {
  const bytes = { receivedBytes: BigInt(record.bytesReceived), sentBytes: BigInt(record.bytesSent) };
  return create(TCPAccessLogEntrySchema, { commonProperties: commonOf(record, id), connectionProperties: bytes });
}

function commonOf(record: FormatRecord, id: string): MessageInitShape<typeof AccessLogCommonSchema> {
  const { downstream, upstreamHost, dynamicMetadata = {} } = record;
  const { tls } = downstream;
  const flags = flagsMessage(record.flags as readonly ResponseFlag[]);
  const since = (at: number) => (at > 0 ? timeOf(Math.max(0, at - record.started)) : undefined);
  return defined({
    downstreamRemoteAddress: addressOf(downstream.remoteAddress),
    downstreamLocalAddress: addressOf(downstream.localAddress),
    downstreamDirectRemoteAddress: addressOf(downstream.directRemoteAddress),
    tlsProperties: tls && tlsOf(tls, downstream.serverName),
    startTime: timeOf(record.startTime),
    timeToLastRxByte: since(record.requestReceived),
    timeToFirstUpstreamTxByte: since(record.upstreamFirstByteSent),
    timeToFirstUpstreamRxByte: since(record.responseStarted),
    timeToLastDownstreamTxByte: since(record.responseEnded),
    duration: since(record.ended),
    upstreamRemoteAddress: upstreamHost && addressOf(upstreamHost.address),
    upstreamLocalAddress: record.upstreamLocalAddress && addressOf(record.upstreamLocalAddress),
    upstreamCluster: record.upstreamCluster,
    responseFlags: flags,
    metadata: { filterMetadata: dynamicMetadata as Readonly<Record<string, JsonObject>> },
    upstreamTransportFailureReason: record.upstreamTransportFailureReason,
    routeName: record.routeName,
    upstreamRequestAttemptCount: record.attempts,
    connectionTerminationDetails: record.connectionTerminationDetails,
    streamId: id,
    accessLogType: record.protocol === '' ? AccessLogType.TcpConnectionEnd : AccessLogType.DownstreamEnd,
  });
}

function tlsOf({ version, peer, local }: FormatTls, serverName: string): MessageInitShape<typeof TLSPropertiesSchema> {
  return defined({
    tlsVersion: TLS_VERSIONS.get(version) ?? TLSProperties_TLSVersion.VERSION_UNSPECIFIED,
    tlsSniHostname: serverName,
    localCertificateProperties: local && certificateOf(local),
    peerCertificateProperties: peer && certificateOf(peer),
  });
}

function certificateOf({ uriSans, dnsSans, subject, issuer = '' }: FormatCertificate) {
  const uris = uriSans.map((value) => ({ san: { case: 'uri' as const, value } }));
  const names = dnsSans.map((value) => ({ san: { case: 'dns' as const, value } }));
  return { subjectAltName: [...uris, ...names], subject, issuer };
}

function addressOf({ ip, port }: FormatAddress) {
  if (/^[/@]/.test(ip)) return { address: { case: 'pipe' as const, value: { path: ip } } };
  const portSpecifier = { case: 'portValue' as const, value: port };
  return { address: { case: 'socketAddress' as const, value: { address: ip, portSpecifier } } };
}

function methodOf(method: string): RequestMethod {
  const found = (RequestMethod as unknown as Readonly<Record<string, RequestMethod | undefined>>)[method];
  return typeof found === 'number' ? found : RequestMethod.METHOD_UNSPECIFIED;
}

function named(headers: HeaderMap | undefined, names: readonly string[]): Record<string, string> {
  const found = names.flatMap((name) => {
    const value = headers?.get(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(found);
}

/** Of a time or a span of it, to the nanosecond. */
function timeOf(ms: number) {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.floor((ms - seconds * 1000) * 1_000_000) };
}

/** Without what is undefined. */
function defined<T extends object>(given: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
