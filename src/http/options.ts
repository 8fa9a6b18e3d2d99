/** The connection manager's settings, read once from its proto. What this product does not have is refused by name. */

import { SallyportError } from '../lib/errors.ts';
import { type Cidr, compileCidr } from '../lib/ip.ts';
import { HttpProtocolOptions_HeadersWithUnderscoresAction } from '../xds/gen/envoy/config/core/v3/protocol_pb.js';
import {
  type HttpConnectionManager,
  HttpConnectionManager_CodecType,
  HttpConnectionManager_ForwardClientCertDetails,
  HttpConnectionManager_ServerHeaderTransformation,
} from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { durationMs } from '../xds/match/duration.ts';
import { type KeepAliveOptions, keepAliveOptions } from './h2/options.ts';
import { type PathOptions, pathOptions } from './path-normalization.ts';
import { type TracingOptions, tracingOptions } from './tracing/settings.ts';
import { type UpstreamAlpn, upstreamAlpnOf } from './upstream-alpn.ts';

export type ForwardClientCert = 'sanitize' | 'forward-only' | 'append-forward' | 'sanitize-set' | 'always-forward-only';

export interface ManagerOptions {
  readonly codec: 'auto' | 'http1' | 'http2';
  readonly maxHeadBytes: number;
  readonly maxHeaders: number;
  readonly acceptHttp10: boolean;
  readonly defaultHostForHttp10: string;
  readonly customMethods: boolean;
  readonly allowAbsoluteUrl: boolean;
  readonly allowChunkedLength: boolean;
  /** Trailers go through HTTP/1 (`enable_trailers`); else they are read and dropped. */
  readonly trailers: boolean;
  readonly underscores: 'allow' | 'reject' | 'drop';
  readonly proxyContinue: boolean;
  readonly path: PathOptions;
  readonly stripPort: 'none' | 'matching' | 'any';
  readonly stripTrailingHostDot: boolean;
  readonly useRemoteAddress: boolean;
  readonly trustedHops: number;
  readonly skipXffAppend: boolean;
  readonly appendForwardedPort: boolean;
  /** Addresses that count as internal; none without `internal_address_config`, as Envoy has it by now. */
  readonly internalRanges: readonly Cidr[];
  readonly generateRequestId: boolean;
  readonly preserveExternalRequestId: boolean;
  readonly alwaysSetRequestIdInResponse: boolean;
  readonly forwardClientCert: ForwardClientCert;
  readonly clientCertFields: {
    readonly subject: boolean;
    readonly cert: boolean;
    readonly chain: boolean;
    readonly dns: boolean;
    readonly uri: boolean;
  };
  readonly serverName: string;
  readonly serverHeader: 'overwrite' | 'append-if-absent' | 'pass-through';
  readonly via: string;
  /** `tracing` is set: the decorator's operation travels in headers. */
  readonly decorates: boolean;
  /** Undefined where no spans are made. */
  readonly tracing: TracingOptions | undefined;
  /** Upgrade types in lower case → enabled by default. */
  readonly upgrades: ReadonlyMap<string, boolean>;
  /** Undefined where clusters' own counts. */
  readonly upstreamAlpn: UpstreamAlpn | undefined;
  /** All in ms, 0 for none. */
  readonly streamIdleMs: number;
  readonly requestMs: number;
  readonly requestHeadersMs: number;
  readonly idleMs: number;
  readonly maxConnectionMs: number;
  readonly maxStreamMs: number;
  readonly drainMs: number;
  readonly delayedCloseMs: number;
  readonly maxRequestsPerConnection: number;
  readonly maxConcurrentStreams: number;
  readonly initialStreamWindow: number;
  readonly initialConnectionWindow: number;
  readonly allowConnect: boolean;
  readonly keepAlive: KeepAliveOptions | undefined;
}

const CODECS: Readonly<Record<number, 'auto' | 'http1' | 'http2'>> = {
  [HttpConnectionManager_CodecType.AUTO]: 'auto',
  [HttpConnectionManager_CodecType.HTTP1]: 'http1',
  [HttpConnectionManager_CodecType.HTTP2]: 'http2',
};

const CLIENT_CERT: Readonly<Record<number, ForwardClientCert>> = {
  [HttpConnectionManager_ForwardClientCertDetails.SANITIZE]: 'sanitize',
  [HttpConnectionManager_ForwardClientCertDetails.FORWARD_ONLY]: 'forward-only',
  [HttpConnectionManager_ForwardClientCertDetails.APPEND_FORWARD]: 'append-forward',
  [HttpConnectionManager_ForwardClientCertDetails.SANITIZE_SET]: 'sanitize-set',
  [HttpConnectionManager_ForwardClientCertDetails.ALWAYS_FORWARD_ONLY]: 'always-forward-only',
};

const SERVER_HEADER: Readonly<Record<number, ManagerOptions['serverHeader']>> = {
  [HttpConnectionManager_ServerHeaderTransformation.APPEND_IF_ABSENT]: 'append-if-absent',
  [HttpConnectionManager_ServerHeaderTransformation.PASS_THROUGH]: 'pass-through',
};

const UNDERSCORES: Readonly<Record<number, ManagerOptions['underscores']>> = {
  [HttpProtocolOptions_HeadersWithUnderscoresAction.REJECT_REQUEST]: 'reject',
  [HttpProtocolOptions_HeadersWithUnderscoresAction.DROP_HEADER]: 'drop',
};

const HOUR_MS = 3_600_000;
/** Envoy's defaults of HTTP/2 are windows of 256 MiB that no buffer limit backs; these are what a connection may hold here. */
const STREAM_WINDOW = 256 * 1024;
const CONNECTION_WINDOW = 1024 * 1024;

/** Throws `xds-unsupported` for settings without an implementation, `xds-invalid` for a bad address range. */
export function readOptions(config: HttpConnectionManager): ManagerOptions {
  refuseUnsupported(config);
  const common = config.commonHttpProtocolOptions;
  const http1 = config.httpProtocolOptions;
  const http2 = config.http2ProtocolOptions;
  const cert = config.setCurrentClientCertDetails;
  return {
    codec: CODECS[config.codecType]!,
    maxHeadBytes: (config.maxRequestHeadersKb ?? 60) * 1024,
    maxHeaders: common?.maxHeadersCount ?? 100,
    acceptHttp10: http1?.acceptHttp10 ?? false,
    defaultHostForHttp10: http1?.defaultHostForHttp10 ?? '',
    customMethods: http1?.allowCustomMethods ?? false,
    allowAbsoluteUrl: http1?.allowAbsoluteUrl ?? true,
    allowChunkedLength: http1?.allowChunkedLength ?? false,
    trailers: http1?.enableTrailers ?? false,
    underscores: UNDERSCORES[common?.headersWithUnderscoresAction ?? 0] ?? 'allow',
    proxyContinue: config.proxy100Continue,
    path: pathOptions(config),
    stripPort:
      config.stripPortMode.case === 'stripAnyHostPort' && config.stripPortMode.value
        ? 'any'
        : config.stripMatchingHostPort
          ? 'matching'
          : 'none',
    stripTrailingHostDot: config.stripTrailingHostDot,
    useRemoteAddress: config.useRemoteAddress ?? false,
    trustedHops: config.xffNumTrustedHops,
    skipXffAppend: config.skipXffAppend,
    appendForwardedPort: config.appendXForwardedPort,
    internalRanges: (config.internalAddressConfig?.cidrRanges ?? []).map(compileCidr),
    generateRequestId: config.generateRequestId ?? true,
    preserveExternalRequestId: config.preserveExternalRequestId,
    alwaysSetRequestIdInResponse: config.alwaysSetRequestIdInResponse,
    forwardClientCert: CLIENT_CERT[config.forwardClientCertDetails] ?? 'sanitize',
    clientCertFields: {
      subject: cert?.subject ?? false,
      cert: cert?.cert ?? false,
      chain: cert?.chain ?? false,
      dns: cert?.dns ?? false,
      uri: cert?.uri ?? false,
    },
    serverName: config.serverName || 'envoy',
    serverHeader: SERVER_HEADER[config.serverHeaderTransformation] ?? 'overwrite',
    via: config.via,
    decorates: config.tracing !== undefined,
    tracing: tracingOptions(config),
    upgrades: new Map(config.upgradeConfigs.map(({ upgradeType, enabled }) => [upgradeType.toLowerCase(), enabled ?? true])),
    upstreamAlpn: upstreamAlpnOf(config),
    streamIdleMs: durationMs(config.streamIdleTimeout, 300_000),
    requestMs: durationMs(config.requestTimeout, 0),
    requestHeadersMs: durationMs(config.requestHeadersTimeout, 0),
    idleMs: durationMs(common?.idleTimeout, HOUR_MS),
    maxConnectionMs: durationMs(common?.maxConnectionDuration, 0),
    maxStreamMs: durationMs(common?.maxStreamDuration, 0),
    drainMs: durationMs(config.drainTimeout, 5000),
    delayedCloseMs: durationMs(config.delayedCloseTimeout, 1000),
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? 0,
    maxConcurrentStreams: http2?.maxConcurrentStreams ?? 1024,
    initialStreamWindow: http2?.initialStreamWindowSize ?? STREAM_WINDOW,
    initialConnectionWindow: http2?.initialConnectionWindowSize ?? CONNECTION_WINDOW,
    allowConnect: http2?.allowConnect ?? false,
    keepAlive: keepAliveOptions(http2),
  };
}

function refuseUnsupported(config: HttpConnectionManager): void {
  const where = `HTTP connection manager "${config.statPrefix}"`;
  const refused: readonly (readonly [given: boolean, field: string])[] = [
    [config.codecType === HttpConnectionManager_CodecType.HTTP3, 'codec_type: HTTP3'],
    [config.routeSpecifier.case === 'scopedRoutes', 'scoped_routes'],
    [config.originalIpDetectionExtensions.length > 0, 'original_ip_detection_extensions'],
    [config.earlyHeaderMutationExtensions.length > 0, 'early_header_mutation_extensions'],
    [(config.localReplyConfig?.mappers.length ?? 0) > 0 || config.localReplyConfig?.bodyFormat !== undefined, 'local_reply_config'],
    [config.proxyStatusConfig !== undefined, 'proxy_status_config'],
    [config.pathNormalizationOptions !== undefined, 'path_normalization_options'],
    [config.typedHeaderValidationConfig !== undefined, 'typed_header_validation_config'],
    [config.upgradeConfigs.some(({ filters }) => filters.length > 0), 'upgrade_configs.filters'],
    [config.internalAddressConfig?.unixSockets ?? false, 'internal_address_config.unix_sockets'],
  ];
  const field = refused.find(([given]) => given)?.[1];
  if (field) throw new SallyportError('xds-unsupported', `${where}: ${field} is not supported`);
  if (config.routeSpecifier.case === undefined) throw new SallyportError('xds-invalid', `${where}: neither rds nor route_config`);
}
