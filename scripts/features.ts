/**
 * docs/features.md: every field of the networking kinds and of MeshConfig, and what becomes of it. The lists of fields come from the schemas; what does not work is
 * listed here, and a test holds list, schemas and page together (`UPDATE_DOCS=1` writes the page).
 */
import { KINDS, type Kind } from '../src/api/index.ts';
import { meshConfig } from '../src/api/mesh-config.ts';
import type { Node } from '../src/api/schema.ts';

/** `Envoy only`: what is served to `--engine envoy` works there. */
type Status = 'works' | 'Envoy only' | 'no effect' | 'refused';

interface Exception {
  /** A field and everything below it; of DestinationRule, below `trafficPolicy`. */
  readonly path: string;
  readonly status: Exclude<Status, 'works'>;
  readonly note: string;
}

const LATER = 'accepted, without effect';
const EMBEDDED_IGNORES = 'without effect in the embedded data plane';

const PAGES: readonly { readonly kind: Kind; readonly note?: string; readonly exceptions: readonly Exception[] }[] = [
  { kind: 'Gateway', exceptions: [] },
  {
    kind: 'ServiceEntry',
    note: 'Annotations of ours: `sallyport.dev/bind`, `sallyport.dev/private-addresses`, and, for `run --policy` alone, `sallyport.dev/credentials` and `sallyport.dev/intercept` ([credentials.md](credentials.md)).',
    exceptions: [],
  },
  {
    kind: 'VirtualService',
    note: 'Match on `sourceNamespace` and `sourceLabels` is ignored at gateways, as Istio does.',
    exceptions: [
      { path: 'http[].fault.delay.exponentialDelay', status: 'no effect', note: 'Istio has none either' },
      { path: 'http[].fault.abort.http2Error', status: 'no effect', note: 'Istio has none either' },
      { path: 'tcp[].match[].sourceSubnet', status: 'no effect', note: 'Istio has none either' },
    ],
  },
  {
    kind: 'DestinationRule',
    note:
      '`subsets[].trafficPolicy` and `portLevelSettings` take what `trafficPolicy` takes. With `outlierDetection` each worker thread of the embedded data plane judges by the traffic that it has ' +
      'itself (`--concurrency`), where Envoy’s threads count together. A hash ring of the embedded data plane has at most 100,000 positions.',
    exceptions: [
      { path: 'trafficPolicy.loadBalancer.backendUtilization', status: 'no effect', note: 'reported' },
      { path: 'trafficPolicy.loadBalancer.zoneAwareLbSetting', status: 'no effect', note: 'reported' },
      { path: 'trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes', status: 'no effect', note: 'reported' },
      { path: 'trafficPolicy.retryBudget.budgetInterval', status: 'no effect', note: 'reported' },
      { path: 'trafficPolicy.proxyProtocol', status: 'refused', note: 'calls get 503 `UH`' },
      { path: 'trafficPolicy.retryBudget', status: 'Envoy only', note: EMBEDDED_IGNORES },
      {
        path: 'trafficPolicy.tunnel.protocol',
        status: 'Envoy only',
        note: '`POST`, which refuses the listener elsewhere; `CONNECT` works on both',
      },
      { path: 'trafficPolicy.loadBalancer.warmup', status: 'Envoy only', note: EMBEDDED_IGNORES },
      { path: 'trafficPolicy.connectionPool.tcp.tcpKeepalive.probes', status: 'Envoy only', note: EMBEDDED_IGNORES },
      { path: 'trafficPolicy.connectionPool.tcp.tcpKeepalive.interval', status: 'Envoy only', note: EMBEDDED_IGNORES },
    ],
  },
  { kind: 'Sidecar', exceptions: [] },
  {
    kind: 'PeerAuthentication',
    note: 'Concerns what comes in at sidecars. With a selector in the root namespace it means nothing, as in Istio.',
    exceptions: [],
  },
  {
    kind: 'AuthorizationPolicy',
    note:
      'Holds for gateways and for the inbound side of sidecars. Action CUSTOM asks the authorizer of one provider of the MeshConfig (envoyExtAuthzHttp or envoyExtAuthzGrpc); where it can’t be asked, what the rules match is refused, and so are connections that are not HTTP where it is asked over HTTP (Istio lets these pass). Connections that are not HTTP are judged when they come, in Envoy at their first bytes; rules that ask them for what only HTTP has ' +
      'allow nothing, and deny without it.',
    exceptions: [],
  },
  {
    kind: 'RequestAuthentication',
    exceptions: [],
  },
  {
    kind: 'Telemetry',
    note:
      'Access logs: the files of `envoyFileAccessLog` providers (and of `envoy`), and the services of `envoyHttpAls` and `envoyTcpAls`, from both engines; other providers, and services that cannot be reached, are reported and get nothing, and where none is left the mesh’s `accessLogFile` counts. A filter is understood where it is made of comparisons of ' +
      '`response.code`, of `request.method`, `request.path`, `request.host` and `request.scheme` with `==` and `!=`, of `has(request.headers…)`, `&&`, `||`, `!` and parentheses; of another one everything is logged, and it is reported. ' +
      'At gateways and for outgoing calls the mode is CLIENT. Metrics: on the embedded data plane, and on Envoys beside `sallyport agent` or with `--engine envoy`; which values labels can be set to stands in compatibility.md. ' +
      'Tracing: spans go to providers of type opentelemetry, over gRPC or HTTP, from both engines; other providers and samplers are reported and get none.',
    exceptions: [
      { path: 'targetRef', status: 'no effect', note: 'what is attached is not looked at' },
      { path: 'targetRefs', status: 'no effect', note: 'what is attached is not looked at' },
      { path: 'tracing[].customTags{}.formatter', status: 'no effect', note: 'reported (SP1010)' },
      { path: 'tracing[].disableContextPropagation', status: 'no effect', note: 'reported (SP1010)' },
      { path: 'metrics[].overrides[].match.customMetric', status: 'no effect', note: 'reported (SP1010)' },
      { path: 'metrics[].reportingInterval', status: 'no effect', note: 'metrics are served when they are asked for' },
    ],
  },
  {
    kind: 'KubernetesGateway',
    note:
      'The Gateway of gateway.networking.k8s.io, of the classes `sallyport`, `istio` and `istio-remote` and those of the controllers sallyport.dev/gateway-controller and istio.io/gateway-controller. With an address of type `Hostname` the pods of ' +
      'that Service serve it; without one the pods with the label `gateway.networking.k8s.io/gateway-name`, and the Service `NAME-CLASS` is taken to exist. Protocols: HTTP, HTTPS, TLS, TCP. ' +
      '`up` runs such pods itself. An AuthorizationPolicy or RequestAuthentication attached to one by `targetRefs` holds for its proxies. UDPRoutes are not read.',
    exceptions: [
      {
        path: 'infrastructure',
        status: 'no effect',
        note: 'but at `controller --gateways`, which deploys with its labels and annotations, and by the ConfigMap of `parametersRef`',
      },
      { path: 'tls.backend', status: 'no effect', note: 'reported' },
    ],
  },
  {
    kind: 'HTTPRoute',
    note:
      'Parents are Gateways, and Services and ServiceEntries for the mesh; backends are Services, and any host of the mesh as `Hostname` of networking.istio.io. Backends that are missing or not ' +
      'allowed are answered 500.',
    exceptions: [
      { path: 'rules[].filters[].extensionRef', status: 'refused', note: 'the rule answers 500' },
      ...(['requestMirror', 'requestRedirect', 'urlRewrite', 'cors', 'extensionRef'] as const).map((field) => ({
        path: `rules[].backendRefs[].filters[].${field}`,
        status: 'no effect' as const,
        note: 'reported',
      })),
    ],
  },
  {
    kind: 'GRPCRoute',
    exceptions: [
      { path: 'rules[].filters[].extensionRef', status: 'refused', note: 'the rule answers 500' },
      { path: 'rules[].backendRefs[].filters[].requestMirror', status: 'no effect', note: 'reported' },
      { path: 'rules[].backendRefs[].filters[].extensionRef', status: 'no effect', note: 'reported' },
    ],
  },
  { kind: 'TLSRoute', exceptions: [] },
  { kind: 'TCPRoute', exceptions: [] },
  { kind: 'ReferenceGrant', exceptions: [] },
  {
    kind: 'BackendTLSPolicy',
    note: 'For Services and ServiceEntries.',
    exceptions: [{ path: 'options', status: 'no effect', note: LATER }],
  },
  { kind: 'WorkloadEntry', exceptions: [] },
  {
    kind: 'WorkloadGroup',
    note: 'A template for WorkloadEntries that register themselves; read and checked, nothing registers yet.',
    exceptions: [
      { path: 'metadata', status: 'no effect', note: LATER },
      { path: 'template', status: 'no effect', note: LATER },
      { path: 'probe', status: 'no effect', note: LATER },
    ],
  },
  {
    kind: 'ProxyConfig',
    note: 'Use `--concurrency` and its siblings.',
    exceptions: [
      { path: 'selector', status: 'no effect', note: LATER },
      { path: 'concurrency', status: 'no effect', note: LATER },
      { path: 'environmentVariables', status: 'no effect', note: LATER },
      { path: 'image', status: 'no effect', note: LATER },
    ],
  },
];

/** The fields of MeshConfig that do something; all others are accepted without effect. */
const MESH_WORKS = [
  'proxyListenPort',
  'proxyInboundListenPort',
  'connectTimeout',
  'protocolDetectionTimeout',
  'tcpKeepalive',
  'accessLogFile',
  'accessLogFormat',
  'accessLogEncoding',
  'disableEnvoyListenerLog',
  'defaultConfig.gatewayTopology',
  'outboundTrafficPolicy',
  'inboundTrafficPolicy',
  'defaultServiceExportTo',
  'defaultVirtualServiceExportTo',
  'defaultDestinationRuleExportTo',
  'rootNamespace',
  'enableAutoMtls',
  'trustDomain',
  'trustDomainAliases',
  'localityLbSetting',
  'dnsRefreshRate',
  'h2UpgradePolicy',
  'pathNormalization',
  'extensionProviders',
  'defaultProviders',
  'defaultHttpRetryPolicy',
] as const;

/** Every field below a node by its path: `servers[].port.number`, maps as `labels{}`. */
export function pathsOf(node: Node, prefix = ''): string[] {
  switch (node.type) {
    case 'list':
      return pathsOf(node.item, `${prefix}[]`);
    case 'map':
      return pathsOf(node.value, `${prefix}{}`);
    case 'object':
      return [...node.fields].flatMap(([name, field]) => {
        const path = prefix ? `${prefix}.${name}` : name;
        return [path, ...pathsOf(field.node, path)];
      });
    default:
      return [];
  }
}

const under = (path: string, prefix: string): boolean =>
  path === prefix || path.startsWith(`${prefix}.`) || path.startsWith(`${prefix}[`) || path.startsWith(`${prefix}{`);

/** What is said here of fields that do not exist. */
export function staleEntries(): string[] {
  const missing = PAGES.flatMap(({ kind, exceptions }) => {
    const paths = pathsOf(KINDS[kind].schema.node);
    return exceptions.filter(({ path }) => !paths.includes(path)).map(({ path }) => `${kind}: ${path}`);
  });
  const mesh = pathsOf(meshConfig.node);
  return [...missing, ...MESH_WORKS.filter((path) => !mesh.includes(path)).map((path) => `MeshConfig: ${path}`)];
}

/** A policy is the same wherever it stands: only the first place is listed. */
const REPEATED: readonly RegExp[] = [/^subsets\[\]\.trafficPolicy\./, /^trafficPolicy\.portLevelSettings\[\]\.(?!port\b)/];

function table(rows: readonly (readonly [path: string, status: Status, note: string])[]): string {
  return ['| field | | |', '|---|---|---|', ...rows.map(([path, status, note]) => `| \`${path}\` | ${status} | ${note} |`)].join('\n');
}

export function featuresPage(): string {
  const parts = PAGES.map(({ kind, note, exceptions }) => {
    const rows = pathsOf(KINDS[kind].schema.node)
      .filter((path) => !REPEATED.some((pattern) => pattern.test(path)))
      .map((path) => {
        const exception = exceptions.find((each) => under(path, each.path));
        return [path, exception?.status ?? 'works', exception?.note ?? ''] as const;
      });
    return [`## ${kind}`, ...(note ? [note] : []), table(rows)].join('\n\n');
  });
  const top = pathsOf(meshConfig.node).filter((path) => !path.includes('.') && !path.includes('['));
  const mesh = MESH_WORKS.map((path) => [path, 'works', ''] as const);
  const idle = top.filter((path) => !MESH_WORKS.some((works) => under(works, path)));
  return `${[
    '# Features',
    'Every field that decodes, and what becomes of it: it **works**; it works on **Envoy only** (`--engine envoy`, `controller`), and the note says what the embedded data plane does; it is accepted with **no effect** (reported where the note says so); or it is **refused**: what it concerns refuses traffic, ' +
      'with the reason as a finding, rather than run differently from what was asked. An unknown field is an error wherever it stands.',
    'What needs identities is refused: the listener or route that it concerns answers no traffic and says why ' +
      '(`tls.mode: ISTIO_MUTUAL`, PeerAuthentication STRICT, policies on principals) at a `proxy --role` or `controller` without `--ca`. ' +
      'With `proxy --xds` the embedded data plane runs what another control plane sends: what it does not have is refused (a NACK that names it), and what was in force before stays. Patches of EnvoyFilters are applied as [envoy-filters.md](envoy-filters.md) says.',
    ...parts,
    '## MeshConfig',
    table(mesh),
    `With no effect: ${idle.map((path) => `\`${path}\``).join(', ')}; and of \`defaultConfig\` everything but \`gatewayTopology\`, of \`extensionProviders\` all but the authorizers (\`envoyExtAuthzHttp\`, \`envoyExtAuthzGrpc\`), access logs (\`envoyFileAccessLog\`, \`envoyHttpAls\`, \`envoyTcpAls\`) and \`opentelemetry\`; of \`defaultProviders\` all but \`accessLogging\` and \`tracing\`.`,
  ].join('\n\n')}\n`;
}
