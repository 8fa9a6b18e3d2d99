import { localityLbSetting, tcpKeepalive } from './destination-rule.ts';
import {
  any,
  boolean,
  booleanValue,
  duration,
  enumeration,
  type Infer,
  implied,
  int32,
  integer,
  list,
  map,
  object,
  string,
  withDefault,
} from './schema.ts';
import { outboundTrafficPolicy } from './sidecar.ts';

const EVERYONE: readonly string[] = Object.freeze(['*']);
const exportTo = () => withDefault(list(string()), EVERYONE);

/** `defaultConfig`: settings of the proxies that hold unless a ProxyConfig object or a pod's annotation says otherwise. */
const defaultConfig = object({
  concurrency: integer(0, 0x7fff_ffff),
  holdApplicationUntilProxyStarts: booleanValue(),
  terminationDrainDuration: withDefault(duration(0), 5000),
  drainDuration: withDefault(duration(0), 45_000),
  proxyMetadata: map(string()),
  image: object({ imageType: string() }),
  gatewayTopology: object({
    numTrustedProxies: integer(),
    forwardClientCertDetails: withDefault(
      enumeration('UNDEFINED', 'SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY'),
      'UNDEFINED',
    ),
    proxyProtocol: object({}),
  }),
});
export type DefaultConfig = Infer<typeof defaultConfig>;

/** Somewhere that logs, metrics, traces or authorization requests go; Telemetry and AuthorizationPolicy name it. */
const extensionProvider = object({ name: withDefault(string(), ''), envoyFileAccessLog: any() });
export type ExtensionProvider = Infer<typeof extensionProvider>;

/** Settings of the whole mesh. */
export const meshConfig = object({
  proxyListenPort: withDefault(int32(), 15001),
  proxyInboundListenPort: withDefault(int32(), 15006),
  proxyHttpPort: withDefault(int32(), 0),
  connectTimeout: withDefault(duration(1), 10_000),
  /** 0: wait for ever. */
  protocolDetectionTimeout: withDefault(duration(0), 0),
  tcpKeepalive,
  enableTracing: boolean(),
  /** Where access logs go, e.g. `/dev/stdout`; empty: nowhere. */
  accessLogFile: withDefault(string(), ''),
  /** Empty: Istio's default format. */
  accessLogFormat: withDefault(string(), ''),
  accessLogEncoding: withDefault(enumeration('TEXT', 'JSON'), 'TEXT'),
  enableEnvoyAccessLogService: boolean(),
  disableEnvoyListenerLog: boolean(),
  defaultConfig: implied(defaultConfig),
  outboundTrafficPolicy: withDefault(outboundTrafficPolicy, { mode: 'ALLOW_ANY' }),
  inboundTrafficPolicy: object({ mode: withDefault(enumeration('PASSTHROUGH', 'LOCALHOST'), 'PASSTHROUGH') }),
  enableAutoMtls: withDefault(booleanValue(), true),
  trustDomain: withDefault(string(), 'cluster.local'),
  trustDomainAliases: list(string()),
  defaultServiceExportTo: exportTo(),
  defaultVirtualServiceExportTo: exportTo(),
  defaultDestinationRuleExportTo: exportTo(),
  rootNamespace: withDefault(string(), 'istio-system'),
  localityLbSetting,
  dnsRefreshRate: withDefault(duration(1), 60_000),
  h2UpgradePolicy: withDefault(enumeration('DO_NOT_UPGRADE', 'UPGRADE'), 'DO_NOT_UPGRADE'),
  inboundClusterStatName: string(),
  outboundClusterStatName: string(),
  extensionProviders: list(extensionProvider),
  defaultProviders: object({ tracing: list(string()), metrics: list(string()), accessLogging: list(string()) }),
  pathNormalization: withDefault(
    object({
      normalization: withDefault(enumeration('DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'), 'DEFAULT'),
    }),
    { normalization: 'DEFAULT' },
  ),
  defaultHttpRetryPolicy: object({ attempts: withDefault(int32(), 0), perTryTimeout: duration(1), retryOn: string() }),
});
export type MeshConfig = Infer<typeof meshConfig>;
