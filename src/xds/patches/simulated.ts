/** Which fields of patches are simulated, or decide nothing of where a call goes. */
import { type DescMessage, isFieldSet, type Message } from '@bufbuild/protobuf';
import { type Any, anyUnpack } from '@bufbuild/protobuf/wkt';
import { ClusterSchema } from '../gen/envoy/config/cluster/v3/cluster_pb.js';
import { UpstreamHttpProtocolOptionsSchema } from '../gen/envoy/config/core/v3/protocol_pb.js';
import { FilterChainSchema, FilterSchema, ListenerFilterSchema } from '../gen/envoy/config/listener/v3/listener_components_pb.js';
import { ListenerSchema } from '../gen/envoy/config/listener/v3/listener_pb.js';
import {
  RouteAction_RequestMirrorPolicySchema,
  RouteActionSchema,
  RouteSchema,
  VirtualHostSchema,
  WeightedCluster_ClusterWeightSchema,
  WeightedClusterSchema,
} from '../gen/envoy/config/route/v3/route_components_pb.js';
import { RouteConfigurationSchema } from '../gen/envoy/config/route/v3/route_pb.js';
import { ProxyProtocolSchema } from '../gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js';
import {
  HttpConnectionManagerSchema,
  HttpFilterSchema,
} from '../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { TcpProxySchema } from '../gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';

import { HttpProtocolOptionsSchema } from '../gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';

const HEADERS = ['requestHeadersToAdd', 'requestHeadersToRemove', 'responseHeadersToAdd', 'responseHeadersToRemove'];
const LIMITS = ['accessLog', 'statPrefix', 'perConnectionBufferLimitBytes'];

/** Of these messages the other fields may decide what no simulation sees. Messages that are not here are taken whole. */
const SIMULATED: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  (
    [
      [
        ClusterSchema,
        'connectTimeout perConnectionBufferLimitBytes circuitBreakers outlierDetection lbPolicy dnsRefreshRate dnsFailureRefreshRate respectDnsTtl dnsLookupFamily upstreamConnectionOptions commonLbConfig maxRequestsPerConnection typedExtensionProtocolOptions http2ProtocolOptions httpProtocolOptions commonHttpProtocolOptions cleanupInterval altStatName healthChecks ignoreHealthOnHostRemoval preconnectPolicy trackClusterStats waitForWarmOnInit',
      ],
      [ListenerSchema, 'listenerFilters listenerFiltersTimeout tcpBacklogSize enableReusePort connectionBalanceConfig'],
      [FilterChainSchema, 'name transportSocket transportSocketConnectTimeout'],
      [FilterSchema, 'name typedConfig'],
      [ListenerFilterSchema, 'name typedConfig'],
      [HttpFilterSchema, 'name typedConfig'],
      [RouteConfigurationSchema, 'virtualHosts maxDirectResponseBodySizeBytes'],
      [
        VirtualHostSchema,
        'name domains routes rateLimits retryPolicy typedPerFilterConfig includeRequestAttemptCount includeAttemptCountInResponse',
      ],
      [RouteSchema, 'name match route redirect directResponse typedPerFilterConfig decorator tracing'],
      [
        RouteActionSchema,
        'cluster weightedClusters timeout idleTimeout retryPolicy rateLimits includeVhRateLimits prefixRewrite regexRewrite hostRewriteLiteral autoHostRewrite hashPolicy maxStreamDuration maxGrpcTimeout requestMirrorPolicies priority',
      ],
      [RouteAction_RequestMirrorPolicySchema, 'cluster runtimeFraction traceSampled disableShadowHostSuffixAppend'],
      [WeightedClusterSchema, 'clusters totalWeight runtimeKeyPrefix'],
      [WeightedCluster_ClusterWeightSchema, 'name weight typedPerFilterConfig hostRewriteLiteral'],
      [
        HttpProtocolOptionsSchema,
        'commonHttpProtocolOptions upstreamHttpProtocolOptions explicitHttpConfig useDownstreamProtocolConfig autoConfig',
      ],
      [UpstreamHttpProtocolOptionsSchema, 'autoSni autoSanValidation'],
      [
        HttpConnectionManagerSchema,
        'codecType streamIdleTimeout requestTimeout requestHeadersTimeout commonHttpProtocolOptions httpProtocolOptions http2ProtocolOptions serverName serverHeaderTransformation accessLogOptions maxRequestHeadersKb useRemoteAddress xffNumTrustedHops skipXffAppend via generateRequestId preserveExternalRequestId alwaysSetRequestIdInResponse normalizePath mergeSlashes pathWithEscapedSlashesAction forwardClientCertDetails setCurrentClientCertDetails delayedCloseTimeout drainTimeout tracing stripAnyHostPort stripMatchingHostPort stripTrailingHostDot',
      ],
      [TcpProxySchema, 'idleTimeout maxConnectAttempts maxDownstreamConnectionDuration'],
    ] as const
  ).map(([{ typeName }, fields]) => [typeName, new Set([...fields.split(' '), ...HEADERS, ...LIMITS])]),
);

/** The fields in the message, as `type.field`, of which simulation does not know what they do. */
export function unsimulatedFields(schema: DescMessage, message: Message, typeOf: (any: Any) => DescMessage | undefined): readonly string[] {
  const known = SIMULATED.get(schema.typeName);
  if (!known) return [];
  const found: string[] = [];
  for (const field of schema.fields) {
    if (!isFieldSet(message, field)) continue;
    if (!known.has(field.localName)) {
      found.push(`${schema.name}.${field.name}`);
      continue;
    }
    if (!field.message) continue;
    const of = field.message;
    for (const each of valuesOf(message, field)) found.push(...inside(of, each, typeOf));
  }
  return found;
}

type Field = DescMessage['fields'][number];

function valuesOf(message: Message, { oneof, localName, fieldKind }: Field): readonly unknown[] {
  const fields = message as unknown as Record<string, unknown>;
  const value = oneof ? (fields[oneof.localName] as { value: unknown }).value : fields[localName];
  return fieldKind === 'list' ? (value as unknown[]) : fieldKind === 'map' ? Object.values(value as object) : [value];
}

function inside(schema: DescMessage, value: unknown, typeOf: (any: Any) => DescMessage | undefined): readonly string[] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  if (schema.typeName !== 'google.protobuf.Any') return unsimulatedFields(schema, value as Message, typeOf);
  const type = typeOf(value as Any);
  // A client says by it from where it comes.
  if (type === ProxyProtocolSchema) return [type.name];
  const message = type && anyUnpack(value as Any, type);
  return message ? unsimulatedFields(type, message, typeOf) : [];
}
