/** The values of EnvoyFilters' patches as messages. */
import {
  createRegistry,
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  type Registry,
  toBinary,
} from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { messageOf } from '../../lib/errors.ts';
import { ClusterSchema } from '../gen/envoy/config/cluster/v3/cluster_pb.js';
import { FilterChainSchema, FilterSchema, ListenerFilterSchema } from '../gen/envoy/config/listener/v3/listener_components_pb.js';
import { ListenerSchema } from '../gen/envoy/config/listener/v3/listener_pb.js';
import { RouteSchema, VirtualHostSchema } from '../gen/envoy/config/route/v3/route_components_pb.js';
import { RouteConfigurationSchema } from '../gen/envoy/config/route/v3/route_pb.js';
import { FileAccessLogSchema } from '../gen/envoy/extensions/access_loggers/file/v3/file_pb.js';
import { HttpGrpcAccessLogConfigSchema, TcpGrpcAccessLogConfigSchema } from '../gen/envoy/extensions/access_loggers/grpc/v3/als_pb.js';
import { BrotliSchema } from '../gen/envoy/extensions/compression/brotli/compressor/v3/brotli_pb.js';
import { GzipSchema } from '../gen/envoy/extensions/compression/gzip/compressor/v3/gzip_pb.js';
import { ZstdSchema } from '../gen/envoy/extensions/compression/zstd/compressor/v3/zstd_pb.js';
import { CompressorPerRouteSchema, CompressorSchema } from '../gen/envoy/extensions/filters/http/compressor/v3/compressor_pb.js';
import { CorsPolicySchema, CorsSchema } from '../gen/envoy/extensions/filters/http/cors/v3/cors_pb.js';
import { ExtAuthzPerRouteSchema, ExtAuthzSchema } from '../gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js';
import { HTTPFaultSchema } from '../gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { JwtAuthenticationSchema, PerRouteConfigSchema } from '../gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js';
import { LocalRateLimitSchema } from '../gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js';
import { RateLimitPerRouteSchema, RateLimitSchema } from '../gen/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js';
import { RBACPerRouteSchema, RBACSchema } from '../gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { RouterSchema } from '../gen/envoy/extensions/filters/http/router/v3/router_pb.js';
import { HttpInspectorSchema } from '../gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js';
import { OriginalDstSchema } from '../gen/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js';
import { ProxyProtocolSchema } from '../gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js';
import { TlsInspectorSchema } from '../gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js';
import { ExtAuthzSchema as NetworkExtAuthzSchema } from '../gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js';
import {
  HttpConnectionManagerSchema,
  HttpFilterSchema,
} from '../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { RBACSchema as NetworkRbacSchema } from '../gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js';
import { TcpProxySchema } from '../gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import { RawBufferSchema } from '../gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js';
import { DownstreamTlsContextSchema, UpstreamTlsContextSchema } from '../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { HttpProtocolOptionsSchema } from '../gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
import { TypedStructSchema as UdpaTypedStructSchema } from '../gen/udpa/type/v1/typed_struct_pb.js';
import { TypedStructSchema } from '../gen/xds/type/v3/typed_struct_pb.js';
import { merged } from './merge.ts';
import { unsimulatedFields } from './simulated.ts';

/** What a patch is applied to: the types of their values. */
const SCHEMAS = {
  LISTENER: ListenerSchema,
  FILTER_CHAIN: FilterChainSchema,
  NETWORK_FILTER: FilterSchema,
  HTTP_FILTER: HttpFilterSchema,
  LISTENER_FILTER: ListenerFilterSchema,
  ROUTE_CONFIGURATION: RouteConfigurationSchema,
  VIRTUAL_HOST: VirtualHostSchema,
  HTTP_ROUTE: RouteSchema,
  CLUSTER: ClusterSchema,
} as const satisfies Readonly<Record<string, DescMessage>>;

export type Patchable = keyof typeof SCHEMAS;

export function isPatchable(applyTo: string): applyTo is Patchable {
  return Object.hasOwn(SCHEMAS, applyTo);
}

export interface PatchValue {
  readonly message: Message;
  /** Types of extensions in it that are for Envoy alone: it has them, or what is written of them. */
  readonly foreign: readonly string[];
  /** Fields, as `type.field`, of which simulation does not know what they do. */
  readonly unsimulated: readonly string[];
}

/** What translation writes and simulation knows. An extension of another type stays as its author wrote it, for Envoy. */
const KNOWN: readonly DescMessage[] = [
  BrotliSchema,
  CompressorPerRouteSchema,
  CompressorSchema,
  CorsPolicySchema,
  CorsSchema,
  DownstreamTlsContextSchema,
  ExtAuthzPerRouteSchema,
  ExtAuthzSchema,
  FileAccessLogSchema,
  GzipSchema,
  HttpConnectionManagerSchema,
  HttpGrpcAccessLogConfigSchema,
  HttpInspectorSchema,
  HttpProtocolOptionsSchema,
  HTTPFaultSchema,
  JwtAuthenticationSchema,
  LocalRateLimitSchema,
  NetworkExtAuthzSchema,
  NetworkRbacSchema,
  OriginalDstSchema,
  PerRouteConfigSchema,
  ProxyProtocolSchema,
  RawBufferSchema,
  RateLimitPerRouteSchema,
  RateLimitSchema,
  RBACPerRouteSchema,
  RBACSchema,
  RouterSchema,
  TcpGrpcAccessLogConfigSchema,
  TcpProxySchema,
  TlsInspectorSchema,
  TypedStructSchema,
  UpstreamTlsContextSchema,
  ZstdSchema,
];
const registry: Registry = createRegistry(...KNOWN);

/**
 * The value as what it is applied to; the reason, as text, why it is none.
 * @param asWritten whether an extension that can't be read stands as its author wrote it, so that whoever can't read it closes. Else, where it would be
 * merged into another, the value is none.
 */
export function patchValue(applyTo: Patchable, value: unknown, asWritten: boolean): PatchValue | string {
  const foreign = new Set<string>();
  try {
    const schema = SCHEMAS[applyTo];
    const message: Message = fromJson(schema, withStructs(value as JsonValue, { foreign, asWritten }), { registry });
    return { message, foreign: [...foreign], unsimulated: [...new Set(unsimulatedFields(schema, message, typeIn))] };
  } catch (error) {
    return messageOf(error);
  }
}

function typeIn({ typeUrl }: Any): DescMessage | undefined {
  return registry.getMessage(typeUrl.slice(typeUrl.lastIndexOf('/') + 1));
}

const TYPE = '@type';

interface Reading {
  readonly foreign: Set<string>;
  readonly asWritten: boolean;
}

/** Extensions that can't be read here as `TypedStruct`s: Envoy reads from them what it reads from messages. */
function withStructs(value: JsonValue, reading: Reading): JsonValue {
  if (Array.isArray(value)) return value.map((each) => withStructs(each, reading));
  if (typeof value !== 'object' || value === null) return value;
  const typeUrl = value[TYPE];
  if (typeof typeUrl !== 'string') return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withStructs(each, reading)]));
  const type = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
  const { [TYPE]: _, ...fields } = value;
  if (type === TypedStructSchema.typeName || type === UdpaTypedStructSchema.typeName)
    return withStructs({ ...(fields.value as JsonObject), [TYPE]: fields.typeUrl ?? fields.type_url ?? '' }, reading);
  const schema = registry.getMessage(type);
  if (schema) {
    const known = withStructs(fields, reading) as JsonObject;
    if (!reading.asWritten || isReadable(schema, known)) return { [TYPE]: typeUrl, ...known };
  }
  reading.foreign.add(type);
  return { [TYPE]: `type.googleapis.com/${TypedStructSchema.typeName}`, typeUrl, value: fields };
}

function isReadable(schema: DescMessage, value: JsonObject): boolean {
  try {
    fromJson(schema, value, { registry });
    return true;
  } catch {
    return false;
  }
}

/** The configuration of an extension with what a patch says; the same `target` where the two are of different types or of one that is not known. */
export function mergedConfig(target: Any, patch: Any): Any {
  if (target.typeUrl !== patch.typeUrl) return target;
  const schema = typeIn(patch);
  if (!schema || schema === TypedStructSchema) return target;
  return { ...target, value: toBinary(schema, merged(schema, fromBinary(schema, target.value), fromBinary(schema, patch.value))) };
}
