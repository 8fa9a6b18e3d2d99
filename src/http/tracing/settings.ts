/**
 * A connection manager's settings for tracing over OTLP (envoy.config.trace.v3.OpenTelemetryConfig). What else Envoy has for it (other providers, samplers, gRPC
 * without its clusters) makes no spans here, and costs no request.
 */
import { SallyportError } from '../../lib/errors.ts';
import type { HttpService } from '../../xds/gen/envoy/config/core/v3/http_service_pb.js';
import { type OpenTelemetryConfig, OpenTelemetryConfigSchema } from '../../xds/gen/envoy/config/trace/v3/opentelemetry_pb.js';
import type { HttpConnectionManager } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { UuidRequestIdConfigSchema } from '../../xds/gen/envoy/extensions/request_id/uuid/v3/uuid_pb.js';
import type { CustomTag } from '../../xds/gen/envoy/type/tracing/v3/custom_tag_pb.js';
import type { Percent } from '../../xds/gen/envoy/type/v3/percent_pb.js';
import { durationMs } from '../../xds/match/duration.ts';
import { unpack } from '../../xds/unpack.ts';
import type { SamplingOptions } from './context.ts';

/** Where spans go. */
export interface CollectorTarget {
  readonly cluster: string;
  readonly authority: string;
  readonly path: string;
  readonly grpc: boolean;
  /** Names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** 0 for as long as it takes. */
  readonly timeoutMs: number;
}

export interface TracingOptions {
  readonly sampling: SamplingOptions;
  /** Undefined: spans are passed on and reported nowhere. */
  readonly target: CollectorTarget | undefined;
  readonly serviceName: string;
  readonly tags: readonly CustomTag[];
  /** Characters of a path that a span tells. */
  readonly mostOfPath: number;
}

const OPEN_TELEMETRY = 'envoy.tracers.opentelemetry';
const EXPORT = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
const MOST_OF_PATH = 256;

/** Undefined where no spans are made. Throws `xds-invalid`; the name of a manager is its `stat_prefix`. */
export function tracingOptions({ tracing, statPrefix, requestIdExtension }: HttpConnectionManager): TracingOptions | undefined {
  const provider = tracing?.provider;
  if (!tracing || provider?.name !== OPEN_TELEMETRY || provider.configType.case !== 'typedConfig') return undefined;
  const where = `HTTP connection manager "${statPrefix}": tracing.provider`;
  const config = unpack(provider.configType.value, OpenTelemetryConfigSchema, where);
  if (config.sampler || (config.grpcService && config.grpcService.targetSpecifier.case !== 'envoyGrpc')) return undefined;
  const extension = requestIdExtension?.typedConfig;
  const byRequestId = extension ? (unpack(extension, UuidRequestIdConfigSchema, where).useRequestIdForTraceSampling ?? true) : true;
  return {
    sampling: {
      random: tenThousandths(tracing.randomSampling),
      client: tenThousandths(tracing.clientSampling),
      overall: tenThousandths(tracing.overallSampling),
      byRequestId,
      upstreamSpans: tracing.spawnUpstreamSpan ?? false,
    },
    target: targetOf(config, where),
    serviceName: config.serviceName || 'unknown_service:envoy',
    tags: tracing.customTags,
    mostOfPath: tracing.maxPathTagLength ?? MOST_OF_PATH,
  };
}

function tenThousandths(percent: Percent | undefined): number {
  return percent ? percent.value * 100 : 10_000;
}

function targetOf({ grpcService: grpc, httpService: http }: OpenTelemetryConfig, where: string): CollectorTarget | undefined {
  if (http) return overHttp(http, where);
  if (grpc?.targetSpecifier.case !== 'envoyGrpc') return undefined;
  const { targetSpecifier: target } = grpc;
  const { clusterName: cluster, authority } = target.value;
  if (cluster === '') throw new SallyportError('xds-invalid', `${where}.grpc_service.envoy_grpc: names no cluster`);
  const headers = grpc.initialMetadata.map(({ key, value }) => [key.toLowerCase(), value] as const);
  return { cluster, authority: authority || cluster, path: EXPORT, grpc: true, headers, timeoutMs: durationMs(grpc.timeout, 0) };
}

function overHttp({ httpUri, requestHeadersToAdd }: HttpService, where: string): CollectorTarget {
  const target = httpUri?.httpUpstreamType;
  if (!httpUri || target?.case !== 'cluster') throw new SallyportError('xds-invalid', `${where}.http_service: names no cluster`);
  // Istio writes the host without a scheme.
  const [, authority = '', path = ''] = /^(?:[a-z]+:\/\/)?([^/]*)(.*)$/.exec(httpUri.uri) ?? [];
  const headers = requestHeadersToAdd.map(({ header }) => [(header?.key ?? '').toLowerCase(), header?.value ?? ''] as const);
  return { cluster: target.value, authority, path: path || '/', grpc: false, headers, timeoutMs: durationMs(httpUri.timeout, 0) };
}
