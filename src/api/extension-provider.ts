import {
  any,
  boolean,
  booleanValue,
  duration,
  enumeration,
  type Infer,
  int32,
  integer,
  list,
  map,
  object,
  port,
  required,
  string,
  withDefault,
} from './schema.ts';

/** `[namespace/]host` of a service of the mesh, and its port. */
const backend = { service: required(string({ minLength: 1 })), port: required(port()) };
const maxTagLength = integer();
const strings = list(string());

const requestBody = object({ maxRequestBytes: integer(), allowPartialMessage: boolean(), packAsBytes: boolean() });

const externalAuthorization = {
  ...backend,
  timeout: duration(1),
  failOpen: boolean(),
  statusOnError: string(),
  includeRequestBodyInCheck: requestBody,
  clearRouteCache: boolean(),
};

const externalAuthorizationHttp = object(
  {
    ...externalAuthorization,
    pathPrefix: string(),
    includeRequestHeadersInCheck: strings,
    includeAdditionalHeadersInCheck: map(string()),
    headersToUpstreamOnAllow: strings,
    headersToDownstreamOnDeny: strings,
    headersToDownstreamOnAllow: strings,
  },
  {
    old: { includeHeadersInCheck: strings },
    normalise: (value, old) => {
      // As in Istio, the old name counts where the new one says nothing.
      if (value.includeRequestHeadersInCheck.length === 0) value.includeRequestHeadersInCheck = old.includeHeadersInCheck ?? [];
    },
  },
);

const httpHeaders = list(object({ name: required(string()), value: string(), envName: string() }));
const labels = any<Readonly<Record<string, unknown>>>();

const accessLogService = { ...backend, logName: string(), filterStateObjectsToLog: strings };

/** Somewhere that logs, metrics, traces or authorization requests go; Telemetry and AuthorizationPolicy refer to it by name. */
export const extensionProvider = object(
  {
    name: required(string({ minLength: 1 })),
    envoyExtAuthzHttp: externalAuthorizationHttp,
    envoyExtAuthzGrpc: object(externalAuthorization),
    zipkin: object({
      ...backend,
      maxTagLength,
      enable64bitTraceId: boolean(),
      path: string(),
      traceContextOption: enumeration('USE_B3', 'USE_B3_WITH_W3C_PROPAGATION'),
      timeout: duration(1),
      headers: httpHeaders,
    }),
    lightstep: object({ ...backend, accessToken: string(), maxTagLength }),
    datadog: object({ ...backend, maxTagLength }),
    stackdriver: object({
      debug: boolean(),
      maxNumberOfAttributes: integer(),
      maxNumberOfAnnotations: integer(),
      maxNumberOfMessageEvents: integer(),
      maxTagLength,
      logging: object({ labels: map(string()) }),
    }),
    opencensus: object({
      ...backend,
      context: list(enumeration('UNSPECIFIED', 'W3C_TRACE_CONTEXT', 'GRPC_BIN', 'CLOUD_TRACE_CONTEXT', 'B3')),
      maxTagLength,
    }),
    skywalking: object({ ...backend, accessToken: string() }),
    opentelemetry: object({
      ...backend,
      maxTagLength,
      http: object({ path: required(string()), timeout: duration(1), headers: httpHeaders }),
      grpc: object({ timeout: duration(1), initialMetadata: httpHeaders }),
      resourceDetectors: object({ environment: object({}), dynatrace: object({}) }),
      dynatraceSampler: object({
        tenant: string(),
        clusterId: int32(),
        rootSpansPerMinute: integer(),
        httpService: object({ ...backend, http: object({ path: required(string()), timeout: duration(1), headers: httpHeaders }) }),
      }),
    }),
    prometheus: object({}),
    envoyFileAccessLog: object({
      path: withDefault(string(), '/dev/stdout'),
      /** Neither: Istio's default format. */
      logFormat: object({ text: string(), labels }, { atMostOne: [['text', 'labels']] }),
      omitEmptyValues: booleanValue(),
    }),
    envoyHttpAls: object({
      ...accessLogService,
      additionalRequestHeadersToLog: strings,
      additionalResponseHeadersToLog: strings,
      additionalResponseTrailersToLog: strings,
    }),
    envoyTcpAls: object(accessLogService),
    envoyOtelAls: object({ ...backend, logName: string(), logFormat: object({ text: string(), labels }) }),
    sds: object({ name: required(string()), ...backend }),
  },
  {
    atMostOne: [
      [
        'envoyExtAuthzHttp',
        'envoyExtAuthzGrpc',
        'zipkin',
        'lightstep',
        'datadog',
        'stackdriver',
        'opencensus',
        'skywalking',
        'opentelemetry',
        'prometheus',
        'envoyFileAccessLog',
        'envoyHttpAls',
        'envoyTcpAls',
        'envoyOtelAls',
        'sds',
      ],
    ],
  },
);
export type ExtensionProvider = Infer<typeof extensionProvider>;
