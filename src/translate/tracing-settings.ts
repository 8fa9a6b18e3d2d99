/** Tracing, as an HTTP connection manager has it (envoy.config.trace.v3.OpenTelemetryConfig). */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { HeaderValueOption_HeaderAppendAction } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { OpenTelemetryConfigSchema } from '../xds/gen/envoy/config/trace/v3/opentelemetry_pb.js';
import {
  type HttpConnectionManager,
  HttpConnectionManager_TracingSchema,
  HttpConnectionManagerSchema,
} from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { UuidRequestIdConfigSchema } from '../xds/gen/envoy/extensions/request_id/uuid/v3/uuid_pb.js';
import type { LoggedConfig } from './logging.ts';
import type { LogMode } from './model.ts';
import { outboundClusterName } from './names.ts';
import { toDuration, typedConfig } from './proto.ts';
import { type ChosenTracing, DEFAULT_SAMPLING } from './tracing.ts';

const { OVERWRITE_IF_EXISTS_OR_ADD } = HeaderValueOption_HeaderAppendAction;

type Settings = Partial<Pick<HttpConnectionManager, 'tracing' | 'requestIdExtension'>>;

/** Of an HTTP connection manager. */
export function tracingSettings({ tracing, defaultConfig, enableTracing }: LoggedConfig, mode: LogMode): Settings {
  const chosen = tracing?.[mode];
  if (chosen === 'off') return {};
  // Names of operations (`x-envoy-decorator-operation`) travel with tracing only, whether or not spans are sent.
  if (!chosen) return enableTracing ? { tracing: tracingOf(defaultConfig.tracing?.sampling || DEFAULT_SAMPLING) } : {};
  const most = chosen.provider.maxTagLength || defaultConfig.tracing?.maxPathTagLength;
  const message = tracingOf(chosen.sampling, {
    ...(most ? { maxPathTagLength: most } : {}),
    customTags: [...chosen.tags],
    ...(chosen.upstreamSpans && { spawnUpstreamSpan: true }),
    provider: { name: 'envoy.tracers.opentelemetry', configType: typedConfig(OpenTelemetryConfigSchema, exporter(chosen)) },
  });
  return { tracing: message, ...(!chosen.byRequestId && OWN_DECISION) };
}

/** Each hop decides for itself, whatever the request id says. */
const OWN_DECISION: Settings = {
  requestIdExtension: create(HttpConnectionManagerSchema, {
    requestIdExtension: { typedConfig: typedConfig(UuidRequestIdConfigSchema, { useRequestIdForTraceSampling: false }).value },
  }).requestIdExtension,
};

/** @param percent of the requests that nobody has decided about */
function tracingOf(percent: number, more: TracingInit = {}) {
  const sampling = { clientSampling: { value: 100 }, randomSampling: { value: percent }, overallSampling: { value: 100 } };
  return create(HttpConnectionManager_TracingSchema, { ...more, ...sampling });
}

type TracingInit = Omit<Extract<MessageInitShape<typeof HttpConnectionManager_TracingSchema>, { $typeName?: undefined }>, '$typeName'>;

function exporter({ provider, hostname, serviceName }: ChosenTracing): MessageInitShape<typeof OpenTelemetryConfigSchema> {
  const { port, http, grpc } = provider;
  const cluster = outboundClusterName(hostname, port);
  if (http) {
    const requestHeadersToAdd = http.headers.map(({ name, value = '' }) => ({
      header: { key: name, value },
      appendAction: OVERWRITE_IF_EXISTS_OR_ADD,
    }));
    const timeout = toDuration(http.timeout ?? HTTP_TIMEOUT_MS);
    const uri = `${hostname}/${http.path.replace(/^\/+/, '')}`;
    return {
      serviceName,
      httpService: { httpUri: { uri, httpUpstreamType: { case: 'cluster', value: cluster }, timeout }, requestHeadersToAdd },
    };
  }
  return {
    serviceName,
    grpcService: {
      targetSpecifier: { case: 'envoyGrpc', value: { clusterName: cluster, authority: hostname } },
      ...(grpc?.timeout !== undefined && { timeout: toDuration(grpc.timeout) }),
      initialMetadata: (grpc?.initialMetadata ?? []).map(({ name, value = '' }) => ({ key: name, value })),
    },
  };
}

/** Envoy refuses a call over HTTP that has none; ms. */
const HTTP_TIMEOUT_MS = 10_000;
