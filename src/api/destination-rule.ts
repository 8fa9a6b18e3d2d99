import { labelSelector, positiveDuration } from './common.ts';
import {
  boolean,
  booleanValue,
  duration,
  enumeration,
  type Infer,
  int32,
  integer,
  list,
  map,
  number,
  object,
  required,
  string,
  withDefault,
  withSynonyms,
} from './schema.ts';

export const tcpKeepalive = object({ probes: integer(), time: positiveDuration(), interval: positiveDuration() });
export type TcpKeepalive = Infer<typeof tcpKeepalive>;

export const connectionPool = object({
  tcp: object({
    maxConnections: int32(),
    connectTimeout: positiveDuration(),
    tcpKeepalive,
    maxConnectionDuration: positiveDuration(),
    /** 0: never. */
    idleTimeout: duration(0),
  }),
  http: object({
    http1MaxPendingRequests: int32(),
    http2MaxRequests: int32(),
    maxRequestsPerConnection: int32(),
    maxRetries: int32(),
    idleTimeout: positiveDuration(),
    h2UpgradePolicy: withDefault(enumeration('DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE'), 'DEFAULT'),
    useClientProtocol: boolean(),
    maxConcurrentStreams: int32(),
    http2KeepAlive: object({ interval: positiveDuration(), timeout: positiveDuration() }),
  }),
});
export type ConnectionPoolSettings = Infer<typeof connectionPool>;

const failover = list(object({ from: withDefault(string(), ''), to: withDefault(string(), '') }));

export const localityLbSetting = object({
  distribute: list(object({ from: withDefault(string(), ''), to: map(integer()) })),
  failover,
  failoverPriority: list(string()),
  /** Absent: enabled where the mesh enables it. */
  enabled: booleanValue(),
});
export type LocalityLoadBalancerSetting = Infer<typeof localityLbSetting>;

const consistentHash = object(
  {
    httpHeaderName: string(),
    httpCookie: object({
      name: required(string()),
      path: string(),
      /** 0: a session cookie; absent: no cookie is generated. */
      ttl: duration(0),
      attributes: list(object({ name: required(string()), value: string() })),
    }),
    useSourceIp: boolean(),
    httpQueryParameterName: string(),
    ringHash: object({ minimumRingSize: integer(0, Number.MAX_SAFE_INTEGER) }),
    maglev: object({ tableSize: integer(0, Number.MAX_SAFE_INTEGER) }),
  },
  {
    atMostOne: [
      ['httpHeaderName', 'httpCookie', 'useSourceIp', 'httpQueryParameterName'],
      ['ringHash', 'maglev'],
    ],
    old: { minimumRingSize: integer(0, Number.MAX_SAFE_INTEGER) },
    normalise: (value, old) => {
      if (old.minimumRingSize !== undefined && !value.ringHash && !value.maglev) value.ringHash = { minimumRingSize: old.minimumRingSize };
    },
  },
);
export type ConsistentHash = Infer<typeof consistentHash>;

const warmup = object({
  duration: required(positiveDuration()),
  minimumPercent: number(0, 100),
  aggression: number(0),
});

export const loadBalancer = object(
  {
    /** `LEAST_CONN` decodes to its present name, `UNSPECIFIED` to absence. */
    simple: withSynonyms(enumeration('LEAST_REQUEST', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN'), {
      LEAST_CONN: 'LEAST_REQUEST',
      UNSPECIFIED: undefined,
    }),
    consistentHash,
    backendUtilization: object({
      errorUtilizationPenaltyPercent: integer(),
      metricNamesForComputingUtilization: list(string()),
      weightExpirationPeriod: duration(0),
      weightStabilizationPeriod: duration(0),
      weightUpdatePeriod: duration(0),
    }),
    localityLbSetting,
    zoneAwareLbSetting: object({
      enabled: booleanValue(),
      failover,
      failoverPriority: list(string()),
      minClusterSize: integer(1),
    }),
    warmup,
  },
  {
    atMostOne: [['simple', 'consistentHash', 'backendUtilization']],
    old: { warmupDurationSecs: positiveDuration() },
    normalise: (value, old) => {
      if (old.warmupDurationSecs !== undefined && !value.warmup) value.warmup = { duration: old.warmupDurationSecs };
    },
  },
);
export type LoadBalancerSettings = Infer<typeof loadBalancer>;

export const outlierDetection = object(
  {
    splitExternalLocalOriginErrors: boolean(),
    consecutiveLocalOriginFailures: integer(),
    consecutiveGatewayErrors: integer(),
    consecutive5xxErrors: integer(),
    interval: positiveDuration(),
    baseEjectionTime: positiveDuration(),
    maxEjectionPercent: int32(),
    minHealthPercent: int32(),
    outlierDetectionHttpErrorCodes: list(integer(100, 599)),
  },
  { old: { consecutiveErrors: int32() } },
);
export type OutlierDetection = Infer<typeof outlierDetection>;

export const clientTlsSettings = object({
  mode: withDefault(enumeration('DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL'), 'DISABLE'),
  clientCertificate: string(),
  privateKey: string(),
  caCertificates: string(),
  caCrl: string(),
  credentialName: string(),
  subjectAltNames: list(string()),
  sni: string(),
  insecureSkipVerify: booleanValue(),
});
export type ClientTlsSettings = Infer<typeof clientTlsSettings>;

const perPort = { loadBalancer, connectionPool, outlierDetection, tls: clientTlsSettings };

/** Replaces the destination's settings for one port: what a port leaves out is Istio's default, not the destination's setting. */
const portTrafficPolicy = object({ port: object({ number: withDefault(integer(), 0) }), ...perPort });
export type PortTrafficPolicy = Infer<typeof portTrafficPolicy>;

export const trafficPolicy = object({
  ...perPort,
  portLevelSettings: list(portTrafficPolicy, { maxItems: 4096 }),
  tunnel: object({
    protocol: withDefault(string(), 'CONNECT'),
    targetHost: required(string()),
    targetPort: required(integer()),
  }),
  proxyProtocol: object({ version: withDefault(enumeration('V1', 'V2'), 'V1') }),
  retryBudget: object({ percent: number(0, 100), minRetryConcurrency: integer(), budgetInterval: duration(0) }),
});
export type TrafficPolicy = Infer<typeof trafficPolicy>;

const subset = object({ name: required(string()), labels: map(string()), trafficPolicy });
export type Subset = Infer<typeof subset>;

/** How clients connect to a service once routing has chosen it. */
export const destinationRule = object({
  host: required(string()),
  trafficPolicy,
  subsets: list(subset),
  exportTo: list(string()),
  workloadSelector: labelSelector,
});
export type DestinationRule = Infer<typeof destinationRule>;
