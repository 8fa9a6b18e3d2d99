import { defaultConfig } from './default-config.ts';
import { clientTlsSettings, localityLbSetting, tcpKeepalive } from './destination-rule.ts';
import { type ExtensionProvider, extensionProvider } from './extension-provider.ts';
import { kubernetesLabelSelector } from './kubernetes/common.ts';
import { boolean, booleanValue, duration, enumeration, type Infer, implied, int32, list, object, string, withDefault } from './schema.ts';
import { httpRetry } from './virtual-service.ts';

const EVERYONE: readonly string[] = Object.freeze(['*']);
const exportTo = () => withDefault(list(string()), EVERYONE);

const tlsConfig = object({
  minProtocolVersion: withDefault(enumeration('TLS_AUTO', 'TLSV1_2', 'TLSV1_3'), 'TLS_AUTO'),
  ecdhCurves: list(string()),
  cipherSuites: list(string()),
});

/** Providers that exist without being declared. */
const BUILT_IN_PROVIDERS: readonly ExtensionProvider[] = [
  { name: 'prometheus', prometheus: {} },
  { name: 'envoy', envoyFileAccessLog: { path: '/dev/stdout' } },
];

/**
 * Settings of the whole mesh. The defaults are those of Istio's control plane. Fields whose defaults belong to other systems (the ingress
 * controller, external CAs, metrics merging) decode and are not filled in.
 */
export const meshConfig = object(
  {
    proxyListenPort: withDefault(int32(), 15001),
    proxyInboundListenPort: withDefault(int32(), 15006),
    /** 0: no listener for explicit HTTP proxying. */
    proxyHttpPort: withDefault(int32(), 0),
    connectTimeout: withDefault(duration(1), 10_000),
    /** 0: wait for the client's first bytes for ever. */
    protocolDetectionTimeout: withDefault(duration(0), 0),
    tcpKeepalive,
    ingressClass: withDefault(string(), 'istio'),
    ingressService: withDefault(string(), 'istio-ingressgateway'),
    ingressControllerMode: withDefault(enumeration('UNSPECIFIED', 'OFF', 'DEFAULT', 'STRICT'), 'STRICT'),
    ingressSelector: withDefault(string(), 'ingressgateway'),
    enableTracing: withDefault(booleanValue(), true),
    /** Where access logs go, e.g. `/dev/stdout`; empty: nowhere. */
    accessLogFile: withDefault(string(), ''),
    /** Empty: Istio's default format. */
    accessLogFormat: withDefault(string(), ''),
    accessLogEncoding: withDefault(enumeration('TEXT', 'JSON'), 'TEXT'),
    enableEnvoyAccessLogService: boolean(),
    disableEnvoyListenerLog: boolean(),
    defaultConfig: implied(defaultConfig),
    outboundTrafficPolicy: implied(object({ mode: withDefault(enumeration('REGISTRY_ONLY', 'ALLOW_ANY'), 'ALLOW_ANY') })),
    inboundTrafficPolicy: implied(object({ mode: withDefault(enumeration('PASSTHROUGH', 'LOCALHOST'), 'PASSTHROUGH') })),
    configSources: list(
      object({ address: string(), tlsSettings: clientTlsSettings, subscribedResources: list(enumeration('SERVICE_REGISTRY')) }),
    ),
    enableAutoMtls: withDefault(booleanValue(), true),
    trustDomain: withDefault(string(), 'cluster.local'),
    trustDomainAliases: list(string()),
    caCertificates: list(
      object(
        { pem: string(), spiffeBundleUrl: string(), certSigners: list(string()), trustDomains: list(string()) },
        { atMostOne: [['pem', 'spiffeBundleUrl']] },
      ),
    ),
    defaultServiceExportTo: exportTo(),
    defaultVirtualServiceExportTo: exportTo(),
    defaultDestinationRuleExportTo: exportTo(),
    rootNamespace: withDefault(string(), 'istio-system'),
    localityLbSetting: withDefault(localityLbSetting, { distribute: [], failover: [], failoverPriority: [], enabled: true }),
    dnsRefreshRate: withDefault(duration(1), 60_000),
    h2UpgradePolicy: withDefault(enumeration('DO_NOT_UPGRADE', 'UPGRADE'), 'DO_NOT_UPGRADE'),
    inboundClusterStatName: string(),
    outboundClusterStatName: string(),
    certificates: list(object({ secretName: string(), dnsNames: list(string()) })),
    serviceSettings: list(object({ settings: object({ clusterLocal: boolean() }), hosts: list(string()) })),
    serviceScopeConfigs: list(
      object({
        namespaceSelector: kubernetesLabelSelector,
        servicesSelector: kubernetesLabelSelector,
        scope: enumeration('LOCAL', 'GLOBAL'),
      }),
    ),
    enablePrometheusMerge: withDefault(booleanValue(), true),
    verifyCertificateAtClient: booleanValue(),
    ca: object({ address: string(), tlsSettings: clientTlsSettings, requestTimeout: duration(0), istiodSide: booleanValue() }),
    extensionProviders: list(extensionProvider, { maxItems: 1000 }),
    defaultProviders: implied(object({ tracing: list(string()), metrics: list(string()), accessLogging: list(string()) })),
    discoverySelectors: list(kubernetesLabelSelector),
    pathNormalization: implied(
      object({
        /** DEFAULT is BASE. */
        normalization: withDefault(enumeration('DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'), 'DEFAULT'),
      }),
    ),
    defaultHttpRetryPolicy: httpRetry,
    meshMTLS: tlsConfig,
    tlsDefaults: tlsConfig,
    compliancePolicy: string(),
  },
  {
    normalise: (value) => {
      const declared = new Set(value.extensionProviders.map((provider) => provider.name));
      value.extensionProviders = [...value.extensionProviders, ...BUILT_IN_PROVIDERS.filter((provider) => !declared.has(provider.name))];
      for (const field of ['defaultServiceExportTo', 'defaultVirtualServiceExportTo', 'defaultDestinationRuleExportTo'] as const) {
        if (value[field].length === 0) value[field] = EVERYONE;
      }
    },
  },
);
export type MeshConfig = Infer<typeof meshConfig>;
