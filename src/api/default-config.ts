import { clientTlsSettings, tcpKeepalive } from './destination-rule.ts';
import {
  any,
  boolean,
  booleanValue,
  duration,
  enumeration,
  int32,
  integer,
  list,
  map,
  number,
  object,
  string,
  withDefault,
} from './schema.ts';
import { readinessProbe } from './workload-group.ts';

const remoteService = object({ address: string(), tlsSettings: clientTlsSettings, tcpKeepalive });
const address = object({ address: string() });

const tracing = object({
  zipkin: address,
  lightstep: object({ address: string(), accessToken: string() }),
  datadog: address,
  stackdriver: any(),
  openCensusAgent: any(),
  customTags: map(
    object({
      literal: object({ value: string() }),
      environment: object({ name: string(), defaultValue: string() }),
      header: object({ name: string(), defaultValue: string() }),
    }),
  ),
  maxPathTagLength: integer(),
  sampling: number(0, 100),
  tlsSettings: clientTlsSettings,
});

/** Which of the headers that proxies add are switched off, and how. */
const proxyHeaders = object({
  forwardedClientCert: enumeration('UNDEFINED', 'SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY'),
  setCurrentClientCertDetails: object({
    subject: booleanValue(),
    cert: booleanValue(),
    chain: booleanValue(),
    dns: booleanValue(),
    uri: booleanValue(),
  }),
  requestId: object({ disabled: booleanValue() }),
  server: object({ disabled: booleanValue(), value: string() }),
  attemptCount: object({ disabled: booleanValue() }),
  envoyDebugHeaders: object({ disabled: booleanValue() }),
  metadataExchangeHeaders: object({ mode: enumeration('UNDEFINED', 'IN_MESH') }),
  preserveHttp1HeaderCase: booleanValue(),
  xForwardedHost: object({ enabled: booleanValue() }),
  xForwardedPort: object({ enabled: booleanValue() }),
});

/**
 * Settings of the proxies (`defaultConfig` of MeshConfig) that hold unless a ProxyConfig object or the annotation `proxy.istio.io/config`
 * says otherwise.
 */
export const defaultConfig = object({
  configPath: withDefault(string(), './etc/istio/proxy'),
  binaryPath: withDefault(string(), '/usr/local/bin/envoy'),
  serviceCluster: string(),
  tracingServiceName: withDefault(
    enumeration('APP_LABEL_AND_NAMESPACE', 'CANONICAL_NAME_ONLY', 'CANONICAL_NAME_AND_NAMESPACE'),
    'APP_LABEL_AND_NAMESPACE',
  ),
  drainDuration: withDefault(duration(0), 45_000),
  parentShutdownDuration: withDefault(duration(0), 60_000),
  discoveryAddress: withDefault(string(), 'istiod.istio-system.svc:15012'),
  discoveryRefreshDelay: duration(0),
  zipkinAddress: string(),
  statsdUdpAddress: string(),
  envoyMetricsServiceAddress: string(),
  proxyAdminPort: withDefault(int32(), 15000),
  availabilityZone: string(),
  controlPlaneAuthPolicy: withDefault(enumeration('NONE', 'MUTUAL_TLS', 'INHERIT'), 'MUTUAL_TLS'),
  customConfigFile: string(),
  statNameLength: withDefault(int32(), 189),
  /** Worker threads; 0: one a core. */
  concurrency: integer(0, 0x7fff_ffff),
  proxyBootstrapTemplatePath: string(),
  interceptionMode: withDefault(enumeration('REDIRECT', 'TPROXY', 'NONE'), 'REDIRECT'),
  tracing,
  sds: object({ enabled: boolean(), k8sSaJwtPath: string() }),
  envoyAccessLogService: remoteService,
  envoyMetricsService: remoteService,
  proxyMetadata: map(string()),
  runtimeValues: map(string()),
  statusPort: withDefault(int32(), 15020),
  extraStatTags: list(string()),
  gatewayTopology: object({
    numTrustedProxies: integer(),
    forwardClientCertDetails: withDefault(
      enumeration('UNDEFINED', 'SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY'),
      'UNDEFINED',
    ),
    proxyProtocol: object({}),
  }),
  terminationDrainDuration: withDefault(duration(0), 5000),
  meshId: string(),
  readinessProbe,
  proxyStatsMatcher: object({ inclusionPrefixes: list(string()), inclusionSuffixes: list(string()), inclusionRegexps: list(string()) }),
  holdApplicationUntilProxyStarts: booleanValue(),
  caCertificatesPem: list(string()),
  image: object({ imageType: string() }),
  privateKeyProvider: object({
    cryptomb: object({ pollDelay: duration(0), fallback: booleanValue() }),
    qat: object({ pollDelay: duration(0), fallback: booleanValue() }),
  }),
  proxyHeaders,
  fileFlushInterval: duration(0),
  fileFlushMinSizeKb: integer(),
  statsEvictionInterval: duration(0),
});
