/** What holds for one pod: the mesh's settings, the injector's options and the pod's annotations, which come first. */
import { decode, formatPath, isMapping } from '../../api/decode.ts';
import { defaultConfig } from '../../api/default-config.ts';
import { DNS_CAPTURE, isOn } from '../../api/dns-capture.ts';
import type { MeshConfig } from '../../api/index.ts';
import { parseYaml } from '../../api/yaml/parse.ts';
import { SallyportError } from '../../lib/errors.ts';
import { type Annotations, booleanIn, choiceIn, portsIn, quantityIn, rangesIn, wholeNumberIn } from './annotations.ts';

export type ProxySettings = MeshConfig['defaultConfig'];

/** What carries a proxy's traffic. */
export type InjectedEngine = 'envoy' | 'embedded';

/** For all pods. */
export interface InjectionOptions {
  readonly mesh: MeshConfig;
  /** Of the proxy and of what sets up capture: its entry point is `sallyport`. */
  readonly image: string;
  readonly imagePullPolicy: string | undefined;
  readonly engine: InjectedEngine;
  /** Of the control plane; empty or `default` for the one without a name. */
  readonly revision: string;
  readonly cluster: string;
  /** Empty where there is but one. */
  readonly network: string;
  /** Whether sidecars are init containers that go on running (Kubernetes 1.29 and later), and not containers beside the application's. */
  readonly native: boolean;
  /** Whether the nodes' CNI plugin captures, in place of an init container that may write rules. */
  readonly cni: boolean;
}

/** What a container may do that Pod Security's profile `restricted` lets in; its user is another than root. */
export const RESTRICTED = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  privileged: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  seccompProfile: { type: 'RuntimeDefault' },
} as const;

export const ENGINE_ANNOTATION = 'sallyport.dev/engine';
export const STATUS_ANNOTATION = 'sidecar.istio.io/status';
const PROXY_CONFIG_ANNOTATION = 'proxy.istio.io/config';

/** Which traffic is led to the proxy: lists divided by commas, `*` for all, empty for none. */
export interface CaptureScope {
  readonly includeOutboundRanges: string;
  readonly excludeOutboundRanges: string;
  readonly includeOutboundPorts: string;
  readonly excludeOutboundPorts: string;
  readonly includeInboundPorts: string;
  readonly excludeInboundPorts: string;
}

export interface PodSettings {
  readonly proxy: ProxySettings;
  readonly image: string;
  readonly engine: InjectedEngine;
  readonly native: boolean;
  readonly hold: boolean;
  readonly rewriteProbes: boolean;
  readonly mergeMetrics: boolean;
  /** Port of the agent: merged metrics and probes. */
  readonly statusPort: number;
  /** False for none: `status.sidecar.istio.io/port: "0"`. */
  readonly probed: boolean;
  readonly mode: 'REDIRECT' | 'NONE';
  readonly logLevel: string;
  readonly capture: CaptureScope;
  /** Whether the pod's questions for names are led to the proxy. */
  readonly captureDns: boolean;
  readonly resources: { readonly requests?: Readonly<Record<string, string>>; readonly limits?: Readonly<Record<string, string>> };
  readonly readiness: { readonly initialDelaySeconds: number; readonly periodSeconds: number; readonly failureThreshold: number };
}

/** Throws `injection-annotation`, and `injection-unsupported` for what is asked for and not to be had. */
export function settingsFor(annotations: Annotations, options: InjectionOptions): PodSettings {
  const proxy = proxySettings(annotations[PROXY_CONFIG_ANNOTATION], options.mesh.defaultConfig);
  const modes = ['REDIRECT', 'TPROXY', 'NONE'] as const;
  const mode = choiceIn(annotations, 'sidecar.istio.io/interceptionMode', modes) ?? proxy.interceptionMode;
  if (mode === 'TPROXY')
    throw new SallyportError(
      'injection-unsupported',
      'interceptionMode TPROXY: Sallyport captures by REDIRECT alone; the address of the client is not kept. Choose REDIRECT',
    );
  const native = booleanIn(annotations, 'sidecar.istio.io/nativeSidecar') ?? options.native;
  const port = wholeNumberIn(annotations, 'status.sidecar.istio.io/port', 65_535);
  const statusPort = port || proxy.statusPort;
  return {
    proxy,
    image: annotations['sidecar.istio.io/proxyImage'] ?? options.image,
    engine: choiceIn(annotations, ENGINE_ANNOTATION, ['envoy', 'embedded']) ?? options.engine,
    native,
    // A native sidecar is waited for anyway.
    hold: !native && (proxy.holdApplicationUntilProxyStarts ?? false),
    rewriteProbes: booleanIn(annotations, 'sidecar.istio.io/rewriteAppHTTPProbers') ?? true,
    mergeMetrics: booleanIn(annotations, 'prometheus.istio.io/merge-metrics') ?? options.mesh.enablePrometheusMerge,
    statusPort,
    probed: port !== 0,
    mode,
    logLevel: annotations['sidecar.istio.io/logLevel'] ?? 'warning',
    capture: captureScope(annotations, statusPort),
    captureDns: mode === 'REDIRECT' && asksFor(DNS_CAPTURE, proxy),
    resources: resourcesIn(annotations),
    readiness: {
      initialDelaySeconds: wholeNumberIn(annotations, 'readiness.status.sidecar.istio.io/initialDelaySeconds') ?? 0,
      periodSeconds: wholeNumberIn(annotations, 'readiness.status.sidecar.istio.io/periodSeconds') ?? 15,
      failureThreshold: wholeNumberIn(annotations, 'readiness.status.sidecar.istio.io/failureThreshold') ?? 4,
    },
  };
}

/** Istio's name, in `proxyMetadata`. */
export const DNS_AUTO_ALLOCATE = 'ISTIO_META_DNS_AUTO_ALLOCATE';

export function asksFor(name: string, { proxyMetadata }: ProxySettings): boolean {
  return isOn(proxyMetadata[name]);
}

/** The ports of a sidecar that others ask: of statistics, readiness and the agent. */
export function captureScope(annotations: Annotations, statusPort: number): CaptureScope {
  const prefix = 'traffic.sidecar.istio.io/';
  const excluded = portsIn(annotations, `${prefix}excludeInboundPorts`, 'listed') ?? '';
  const inbound = new Set(['15090', '15021', String(statusPort), ...excluded.split(',').filter(Boolean)]);
  return {
    includeOutboundRanges: rangesIn(annotations, `${prefix}includeOutboundIPRanges`, 'or all') ?? '*',
    excludeOutboundRanges: rangesIn(annotations, `${prefix}excludeOutboundIPRanges`, 'listed') ?? '',
    includeOutboundPorts: portsIn(annotations, `${prefix}includeOutboundPorts`, 'listed') ?? '',
    excludeOutboundPorts: portsIn(annotations, `${prefix}excludeOutboundPorts`, 'listed') ?? '',
    includeInboundPorts: portsIn(annotations, `${prefix}includeInboundPorts`, 'or all') ?? '*',
    excludeInboundPorts: [...inbound].join(','),
  };
}

function resourcesIn(annotations: Annotations): PodSettings['resources'] {
  const quantity = (name: string) => quantityIn(annotations, `sidecar.istio.io/${name}`);
  const named = (cpu: string | undefined, memory: string | undefined) =>
    cpu === undefined && memory === undefined ? undefined : { ...(cpu ? { cpu } : {}), ...(memory ? { memory } : {}) };
  const requests = named(quantity('proxyCPU'), quantity('proxyMemory'));
  const limits = named(quantity('proxyCPULimit'), quantity('proxyMemoryLimit'));
  if (!requests && !limits) return { requests: { cpu: '100m', memory: '128Mi' }, limits: { cpu: '2', memory: '1Gi' } };
  return { ...(requests ? { requests } : {}), ...(limits ? { limits } : {}) };
}

/** What the annotation says in place of the mesh's settings, field by field; its metadata goes beside the mesh's. */
export function proxySettings(text: string | undefined, base: ProxySettings): ProxySettings {
  if (text === undefined) return base;
  const parsed = parseYaml(text);
  const refuse = (reason: string) => new SallyportError('injection-annotation', `the annotation ${PROXY_CONFIG_ANNOTATION}: ${reason}`);
  if ('problem' in parsed) throw refuse(parsed.problem);
  if (parsed.value === null || parsed.value === undefined) return base;
  if (!isMapping(parsed.value)) throw refuse('it has to be a ProxyConfig, as concurrency: 2');
  const problems: string[] = [];
  const decoded = decode(defaultConfig, parsed.value, [], ({ path, message }) => problems.push(`${formatPath(path)}: ${message}`));
  if (problems.length > 0) throw refuse(problems.join('; '));
  const written = Object.entries(decoded as ProxySettings).filter(([name]) => Object.hasOwn(parsed.value as object, name));
  const merged = { ...base, ...Object.fromEntries(written) } as ProxySettings;
  return { ...merged, proxyMetadata: { ...base.proxyMetadata, ...(decoded as ProxySettings).proxyMetadata } };
}
