/** Istio's annotations: on which kinds they have an effect, how mature they are, and what their values may be. */
import { parseRange } from '../lib/ip.ts';

interface AnnotationInfo {
  /** Kinds whose objects may bear it; undefined: any. */
  readonly kinds: readonly string[] | undefined;
  readonly status: 'Alpha' | 'Beta' | 'Stable';
  /** What to use instead, if it is deprecated; empty where nothing takes its place. */
  readonly deprecated?: string;
  /** What is wrong with a value; undefined if nothing is. */
  readonly problem?: (value: string) => string | undefined;
}

const POD = ['Pod'] as const;
const alpha = (problem?: AnnotationInfo['problem']): AnnotationInfo => ({ kinds: POD, status: 'Alpha', ...(problem && { problem }) });
const old = (kinds: readonly string[], instead: string): AnnotationInfo => ({ kinds, status: 'Alpha', deprecated: instead });
const on = (kinds: readonly string[] | undefined, status: AnnotationInfo['status'] = 'Alpha'): AnnotationInfo => ({ kinds, status });

const ANNOTATIONS: ReadonlyMap<string, AnnotationInfo> = new Map(
  Object.entries<AnnotationInfo>({
    'alpha.istio.io/canonical-serviceaccounts': old(['Service'], ''),
    'alpha.istio.io/identity': old(POD, ''),
    'alpha.istio.io/kubernetes-serviceaccounts': old(['Service'], ''),
    'ambient.istio.io/bypass-inbound-capture': alpha(boolean),
    'ambient.istio.io/dns-capture': alpha(boolean),
    'ambient.istio.io/redirection': alpha(),
    'ambient.istio.io/waypoint-inbound-binding': on(['Gateway', 'GatewayClass']),
    'galley.istio.io/analyze-suppress': on(undefined),
    'gateway.istio.io/controller-version': on(['Gateway']),
    'gateway.istio.io/name-override': on(['Gateway']),
    'gateway.istio.io/service-account': on(['Gateway']),
    'inject.istio.io/templates': alpha(),
    'install.operator.istio.io/chart-owner': on(undefined),
    'install.operator.istio.io/owner-generation': on(undefined),
    'install.operator.istio.io/version': on(undefined),
    'istio.io/autoRegistrationGroup': on(['WorkloadEntry']),
    'istio.io/connectedAt': on(['WorkloadEntry']),
    'istio.io/disconnectedAt': on(['WorkloadEntry']),
    'istio.io/dry-run': on(['AuthorizationPolicy']),
    'istio.io/reroute-virtual-interfaces': alpha(),
    'istio.io/rev': alpha(),
    'istio.io/workloadController': on(['WorkloadEntry']),
    'kubernetes.io/ingress.class': on(['Ingress'], 'Stable'),
    'networking.istio.io/address-type': on(['Gateway']),
    'networking.istio.io/exportTo': on(['Service']),
    'networking.istio.io/service-type': on(['Gateway']),
    'networking.istio.io/traffic-distribution': on(['Service', 'ServiceEntry', 'Namespace']),
    'prometheus.istio.io/merge-metrics': alpha(boolean),
    'proxy.istio.io/config': on(POD, 'Beta'),
    'proxy.istio.io/overrides': alpha(),
    'readiness.status.sidecar.istio.io/applicationPorts': alpha(ports),
    'readiness.status.sidecar.istio.io/failureThreshold': alpha(count),
    'readiness.status.sidecar.istio.io/initialDelaySeconds': alpha(count),
    'readiness.status.sidecar.istio.io/periodSeconds': alpha(count),
    'sidecar.istio.io/agentLogLevel': alpha(),
    'sidecar.istio.io/bootstrapOverride': alpha(),
    'sidecar.istio.io/componentLogLevel': alpha(),
    'sidecar.istio.io/controlPlaneAuthPolicy': old(POD, ''),
    'sidecar.istio.io/discoveryAddress': old(POD, 'discoveryAddress in the annotation proxy.istio.io/config'),
    'sidecar.istio.io/enableCoreDump': old(POD, ''),
    'sidecar.istio.io/extraStatTags': alpha(),
    'sidecar.istio.io/inject': { kinds: POD, status: 'Beta', deprecated: 'the label sidecar.istio.io/inject' },
    'sidecar.istio.io/interceptionMode': alpha(oneOf('REDIRECT', 'TPROXY', 'NONE')),
    'sidecar.istio.io/logLevel': alpha(oneOf('trace', 'debug', 'info', 'warning', 'warn', 'error', 'critical', 'off')),
    'sidecar.istio.io/nativeSidecar': alpha(boolean),
    'sidecar.istio.io/proxyCPU': alpha(quantity),
    'sidecar.istio.io/proxyCPULimit': alpha(quantity),
    'sidecar.istio.io/proxyImage': alpha(),
    'sidecar.istio.io/proxyImageType': alpha(),
    'sidecar.istio.io/proxyMemory': alpha(quantity),
    'sidecar.istio.io/proxyMemoryLimit': alpha(quantity),
    'sidecar.istio.io/rewriteAppHTTPProbers': alpha(boolean),
    'sidecar.istio.io/statsCompression': alpha(boolean),
    'sidecar.istio.io/statsHistogramBuckets': alpha(),
    'sidecar.istio.io/statsInclusionPrefixes': old(POD, 'proxyStatsMatcher in the annotation proxy.istio.io/config'),
    'sidecar.istio.io/statsInclusionRegexps': old(POD, 'proxyStatsMatcher in the annotation proxy.istio.io/config'),
    'sidecar.istio.io/statsInclusionSuffixes': old(POD, 'proxyStatsMatcher in the annotation proxy.istio.io/config'),
    'sidecar.istio.io/status': alpha(),
    'sidecar.istio.io/userVolume': alpha(json),
    'sidecar.istio.io/userVolumeMount': alpha(json),
    'status.sidecar.istio.io/port': alpha(statusPort),
    'topology.istio.io/controlPlaneClusters': on(['Namespace']),
    'traffic.istio.io/nodeSelector': on(['Service'], 'Stable'),
    'traffic.sidecar.istio.io/excludeInboundPorts': alpha(ports),
    'traffic.sidecar.istio.io/excludeInterfaces': alpha(),
    'traffic.sidecar.istio.io/excludeOutboundIPRanges': alpha(ranges),
    'traffic.sidecar.istio.io/excludeOutboundPorts': alpha(ports),
    'traffic.sidecar.istio.io/includeInboundPorts': alpha(orAll(ports)),
    'traffic.sidecar.istio.io/includeOutboundIPRanges': alpha(orAll(ranges)),
    'traffic.sidecar.istio.io/includeOutboundPorts': alpha(orAll(ports)),
    'traffic.sidecar.istio.io/kubevirtInterfaces': old(POD, 'the annotation istio.io/reroute-virtual-interfaces'),
  }),
);

/** Istio's injector and controllers write these, so they do not reflect a user's choice. */
export const WRITTEN_BY_ISTIO: ReadonlySet<string> = new Set([
  'sidecar.istio.io/status',
  'istio.io/rev',
  'gateway.istio.io/controller-version',
]);

export function annotationInfo(name: string): AnnotationInfo | undefined {
  return ANNOTATIONS.get(name);
}

export function annotationNames(): readonly string[] {
  return [...ANNOTATIONS.keys()];
}

/** Whether the name is in Istio's part of the namespace of annotations. `internal.istio.io` is for what the control plane writes. */
export function isIstioAnnotation(name: string): boolean {
  const slash = name.indexOf('/');
  const domain = name.slice(0, Math.max(0, slash));
  return (
    name === 'kubernetes.io/ingress.class' || domain === 'istio.io' || (domain.endsWith('.istio.io') && domain !== 'internal.istio.io')
  );
}

function items(value: string): string[] {
  return value === '' ? [] : value.split(',').map((item) => item.trim());
}

function orAll(check: (value: string) => string | undefined): (value: string) => string | undefined {
  return (value) => (value === '*' ? undefined : check(value));
}

function ports(value: string): string | undefined {
  const wrong = items(value).find((item) => !/^\d+$/.test(item) || Number(item) > 65_535);
  return wrong === undefined ? undefined : `"${wrong}" is no port: it is a list of numbers up to 65535, with commas`;
}

function ranges(value: string): string | undefined {
  const wrong = items(value).find((item) => !item.includes('/') || parseRange(item) === undefined);
  return wrong === undefined ? undefined : `"${wrong}" is no CIDR: it is a list such as 10.0.0.0/8,192.168.0.0/16`;
}

function count(value: string): string | undefined {
  return /^\d+$/.test(value) && Number(value) < 2 ** 32 ? undefined : `"${value}" is no whole number from 0 on`;
}

function statusPort(value: string): string | undefined {
  return /^\d+$/.test(value) && Number(value) <= 65_535 ? undefined : `"${value}" is no port, nor 0`;
}

function boolean(value: string): string | undefined {
  return /^(?:1|0|t|f|true|false)$/i.test(value) ? undefined : `"${value}" is neither true nor false`;
}

/** A quantity of Kubernetes: `100m`, `0.5`, `128Mi`, `1e3`. */
function quantity(value: string): string | undefined {
  return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$/.test(value)
    ? undefined
    : `"${value}" is no quantity of Kubernetes, such as 100m or 128Mi`;
}

function json(value: string): string | undefined {
  try {
    JSON.parse(value);
    return undefined;
  } catch {
    return 'it does not parse as JSON';
  }
}

function oneOf(...values: readonly string[]): (value: string) => string | undefined {
  return (value) => (values.includes(value) ? undefined : `"${value}" is none of ${values.join(', ')}`);
}
