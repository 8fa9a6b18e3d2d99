/** The HTTP connection manager: how a proxy treats HTTP connections, whichever routes they take. */
import { create } from '@bufbuild/protobuf';
import type { MeshConfig } from '../../api/index.ts';
import { ApiVersion } from '../../xds/gen/envoy/config/core/v3/config_source_pb.js';
import { type Filter, FilterSchema } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import type { RouteConfiguration } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import {
  type HttpConnectionManager,
  HttpConnectionManager_ForwardClientCertDetails,
  HttpConnectionManager_PathWithEscapedSlashesAction,
  HttpConnectionManagerSchema,
  type HttpFilter,
} from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { accessLogs } from '../access-log.ts';
import { HTTP_CONNECTION_MANAGER, httpFilters, type Injects } from '../filters.ts';
import { toDuration, typedConfig } from '../proto.ts';
import { tracingSettings } from '../tracing-settings.ts';

/** `outbound` and `inbound` are a sidecar's sides. */
export type HttpSide = 'outbound' | 'inbound' | 'gateway';

interface HttpConnectionOptions {
  readonly side: HttpSide;
  readonly statPrefix: string;
  /** The name under which the routes come (RDS), or the routes themselves. */
  readonly routes: string | RouteConfiguration;
  /** The filters that decide who may ask. */
  readonly authorization: readonly HttpFilter[];
  readonly injects?: Injects;
}

/** What Istio calls itself towards clients; a sidecar's outbound side leaves Envoy's own name. */
const SERVER_NAME = 'istio-envoy';

export function httpConnectionManager(
  config: MeshConfig,
  { side, statPrefix, routes, authorization, injects = false }: HttpConnectionOptions,
): Filter {
  const message = create(HttpConnectionManagerSchema, {
    statPrefix,
    routeSpecifier: typeof routes === 'string' ? rds(routes) : { case: 'routeConfig', value: routes },
    httpFilters: httpFilters(authorization, injects),
    accessLog: accessLogs(config, side === 'inbound' ? 'SERVER' : 'CLIENT', 'http'),
    serverName: side === 'outbound' ? '' : SERVER_NAME,
    // A gateway is where clients arrive; behind it, what the headers say of the client is to be kept.
    useRemoteAddress: side === 'gateway',
    streamIdleTimeout: toDuration(0),
    upgradeConfigs: [{ upgradeType: 'websocket' }],
    proxy100Continue: true,
    ...tracingSettings(config, side === 'inbound' ? 'SERVER' : 'CLIENT'),
    ...pathNormalization(config),
  });
  if (side === 'gateway') applyGatewayTopology(message, config);
  if (side === 'inbound') applyClientCertificate(message);
  return create(FilterSchema, { name: HTTP_CONNECTION_MANAGER, configType: typedConfig(HttpConnectionManagerSchema, message) });
}

function rds(routeConfigName: string) {
  const configSource = {
    configSourceSpecifier: { case: 'ads', value: {} },
    initialFetchTimeout: toDuration(0),
    resourceApiVersion: ApiVersion.V3,
  } as const;
  return { case: 'rds', value: { configSource, routeConfigName } } as const;
}

function pathNormalization(config: MeshConfig) {
  const { KEEP_UNCHANGED, UNESCAPE_AND_FORWARD } = HttpConnectionManager_PathWithEscapedSlashesAction;
  const level = config.pathNormalization.normalization;
  return {
    normalizePath: level !== 'NONE',
    mergeSlashes: level === 'MERGE_SLASHES' || level === 'DECODE_AND_MERGE_SLASHES',
    pathWithEscapedSlashesAction: level === 'DECODE_AND_MERGE_SLASHES' ? UNESCAPE_AND_FORWARD : KEEP_UNCHANGED,
  };
}

const { SANITIZE, FORWARD_ONLY, APPEND_FORWARD, SANITIZE_SET, ALWAYS_FORWARD_ONLY } = HttpConnectionManager_ForwardClientCertDetails;
const FORWARD_CLIENT_CERT = { UNDEFINED: SANITIZE_SET, SANITIZE, FORWARD_ONLY, APPEND_FORWARD, SANITIZE_SET, ALWAYS_FORWARD_ONLY } as const;

function applyGatewayTopology(message: HttpConnectionManager, config: MeshConfig): void {
  const topology = config.defaultConfig.gatewayTopology;
  message.xffNumTrustedHops = topology?.numTrustedProxies ?? 0;
  message.forwardClientCertDetails = FORWARD_CLIENT_CERT[topology?.forwardClientCertDetails ?? 'UNDEFINED'];
  if (message.forwardClientCertDetails === APPEND_FORWARD || message.forwardClientCertDetails === SANITIZE_SET) {
    message.setCurrentClientCertDetails = clientCertDetails(true);
  }
  message.httpProtocolOptions = create(HttpConnectionManagerSchema, { httpProtocolOptions: {} }).httpProtocolOptions;
}

/** The identity of the peer is added to those that the request passed before. */
function applyClientCertificate(message: HttpConnectionManager): void {
  message.forwardClientCertDetails = APPEND_FORWARD;
  message.setCurrentClientCertDetails = clientCertDetails(false);
}

function clientCertDetails(cert: boolean): HttpConnectionManager['setCurrentClientCertDetails'] {
  const setCurrentClientCertDetails = { subject: true, uri: true, dns: true, cert };
  return create(HttpConnectionManagerSchema, { setCurrentClientCertDetails }).setCurrentClientCertDetails;
}
