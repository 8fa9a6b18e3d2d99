import { policyTargets, positiveDuration } from './common.ts';
import { booleanValue, enumeration, type Infer, list, map, number, object, required, string, withDefault } from './schema.ts';

const mode = withDefault(enumeration('CLIENT_AND_SERVER', 'CLIENT', 'SERVER'), 'CLIENT_AND_SERVER');
const providers = list(object({ name: required(string({ minLength: 1 })) }));
const text = () => required(string({ minLength: 1 }));

const tracing = object({
  match: object({ mode }),
  providers,
  randomSamplingPercentage: number(0, 100),
  disableSpanReporting: booleanValue(),
  customTags: map(
    object(
      {
        literal: object({ value: text() }),
        environment: object({ name: text(), defaultValue: string() }),
        header: object({ name: text(), defaultValue: string() }),
        formatter: object({ value: text() }),
      },
      { atMostOne: [['literal', 'environment', 'header', 'formatter']] },
    ),
  ),
  useRequestIdForTraceSampling: booleanValue(),
  enableIstioTags: booleanValue(),
  disableContextPropagation: booleanValue(),
});
export type Tracing = Infer<typeof tracing>;

const metric = enumeration(
  'ALL_METRICS',
  'REQUEST_COUNT',
  'REQUEST_DURATION',
  'REQUEST_SIZE',
  'RESPONSE_SIZE',
  'TCP_OPENED_CONNECTIONS',
  'TCP_CLOSED_CONNECTIONS',
  'TCP_SENT_BYTES',
  'TCP_RECEIVED_BYTES',
  'GRPC_REQUEST_MESSAGES',
  'GRPC_RESPONSE_MESSAGES',
);

const metrics = object({
  providers,
  overrides: list(
    object({
      match: object({ metric, customMetric: string({ minLength: 1 }), mode }, { atMostOne: [['metric', 'customMetric']] }),
      disabled: booleanValue(),
      tagOverrides: map(object({ operation: withDefault(enumeration('UPSERT', 'REMOVE'), 'UPSERT'), value: string() })),
    }),
  ),
  reportingInterval: positiveDuration(),
});
export type Metrics = Infer<typeof metrics>;

const accessLogging = object({
  match: object({ mode }),
  providers,
  disabled: booleanValue(),
  filter: object({ expression: string() }),
});
export type AccessLogging = Infer<typeof accessLogging>;

/** Traces, metrics and access logs of workloads. */
export const telemetry = object({ ...policyTargets, tracing: list(tracing), metrics: list(metrics), accessLogging: list(accessLogging) });
export type Telemetry = Infer<typeof telemetry>;
