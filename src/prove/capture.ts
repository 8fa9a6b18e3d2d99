/** What of a workload's traffic its sidecar takes, as its pod's annotations and the mesh's settings say. What goes past it is nobody's but NetworkPolicies'. */
import type { MeshConfig, Pod, ResourceOf } from '../api/index.ts';
import { PROXY_CONTAINER, proxyContainer } from '../api/injection.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { CAPTURE_ANNOTATION, readCapture } from '../kube/capture/annotation.ts';
import type { CaptureSettings } from '../kube/capture/rules.ts';
import { CAPTURE_CONTAINERS, captureSettings } from '../kube/injection/capture-container.ts';
import { PROXY_ID } from '../kube/injection/containers.ts';
import { captureScope, proxySettings } from '../kube/injection/settings.ts';
import { messageOf } from '../lib/errors.ts';
import { cidrContains, parseIp, parseRange } from '../lib/ip.ts';
import type { Labels } from '../lib/labels.ts';
import type { Endpoint } from '../simulate/call.ts';

export interface WorkloadCapture {
  /** Why something that it sends goes past its sidecar, a few words each; of what cannot be read that is said. */
  readonly past: readonly string[];
  takesOutbound(to: Endpoint): boolean;
  takesInbound(port: number): boolean;
}

/** A pod, or the template of one. */
export interface Captured {
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: Pod | undefined;
}

/** What makes a caller's pods: a Pod of that name, or a Deployment. */
interface Written extends Captured {
  readonly kind: 'Pod' | 'Deployment';
  readonly labels: Labels;
}

/** By the names of callers. */
export function writtenIn(snapshot: Snapshot): ReadonlyMap<string, Written> {
  const deployments = snapshot.list('Deployment').map(({ metadata: { namespace, name }, spec: { template } }) => {
    const { labels = {}, annotations = {} } = template?.metadata ?? {};
    return [`${namespace}/${name}`, { kind: 'Deployment', labels, annotations, spec: template?.spec }] as const;
  });
  const pods = snapshot.list('Pod').map(({ metadata, spec }) => {
    const { labels, annotations } = metadata;
    return [`${metadata.namespace}/${metadata.name}`, { kind: 'Pod', labels, annotations, spec }] as const;
  });
  return new Map<string, Written>([...deployments, ...pods]);
}

type Reading = { readonly settings: CaptureSettings; readonly past: readonly string[] } | { readonly nothing: string };

const PREFIX = 'traffic.sidecar.istio.io/';
const MODE = 'sidecar.istio.io/interceptionMode';
const PROXY_CONFIG = 'proxy.istio.io/config';
const TOLD_MODE = 'ISTIO_META_INTERCEPTION_MODE';
const CAPTURES = ['REDIRECT', 'TPROXY'];

/** @param workload undefined: nothing is known of it but the mesh */
export function captureOf(workload: Captured | undefined, mesh: MeshConfig): WorkloadCapture {
  const { annotations = {}, spec } = workload ?? {};
  if (spec?.hostNetwork) return nothing('hostNetwork');
  let found: Reading;
  try {
    found = read(annotations, spec, mesh);
  } catch (error) {
    found = { nothing: `what is captured is not known: ${messageOf(error)}` };
  }
  if ('nothing' in found) return nothing(found.nothing);
  const { settings, past } = found;
  return {
    past: [...past, ...proxyUsers(spec, settings.proxyUid)],
    takesOutbound: ({ ip, port }) => takes(settings, ip, String(port)),
    takesInbound: (port) => {
      const { includeInboundPorts: included, excludeInboundPorts: excluded } = settings;
      return included === '*' ? !excluded.includes(String(port)) : included.includes(String(port));
    },
  };
}

function nothing(why: string): WorkloadCapture {
  // Where a sidecar listens at the ports themselves is another matter.
  return { past: [why], takesOutbound: () => false, takesInbound: () => true };
}

/** Throws what cannot be read. */
function read(annotations: Captured['annotations'], spec: Pod | undefined, mesh: MeshConfig): Reading {
  const proxy = spec && proxyContainer(spec);
  const isInjectedWithInit = spec?.initContainers.some(({ name }) => name === CAPTURE_CONTAINERS[0]) ?? false;
  const byNode = proxy && !isInjectedWithInit ? annotations[CAPTURE_ANNOTATION] : undefined;
  if (byNode !== undefined) {
    const found = readCapture(byNode);
    if ('problem' in found) return { nothing: `${CAPTURE_ANNOTATION} ${found.problem}` };
    return { settings: found.settings, past: leftOut(found.settings).map(([name, text]) => `${CAPTURE_ANNOTATION}: ${name} ${text}`) };
  }
  const told = proxy?.env.findLast(({ name }) => name === TOLD_MODE)?.value;
  const configured = proxySettings(annotations[PROXY_CONFIG], mesh.defaultConfig);
  const mode = told ?? annotations[MODE] ?? configured.interceptionMode;
  if (!CAPTURES.includes(mode)) {
    const where = [told && TOLD_MODE, annotations[MODE] && MODE].find(Boolean);
    const ofPod = configured.interceptionMode === mesh.defaultConfig.interceptionMode ? undefined : PROXY_CONFIG;
    return { nothing: where ? `${where}: ${mode}` : `${ofPod ?? "the MeshConfig's defaultConfig"}: interceptionMode ${mode}` };
  }
  const user = proxy?.securityContext?.runAsUser ?? PROXY_ID;
  const scope = captureScope(annotations, configured.statusPort);
  const settings = captureSettings({ capture: scope, captureDns: false }, mesh, user);
  return { settings, past: leftOut(settings).map(([name, text]) => `${PREFIX}${name}: ${annotations[PREFIX + name] || text}`) };
}

/** By the names of Istio's annotations. */
function leftOut(settings: CaptureSettings): readonly (readonly [name: string, text: string])[] {
  const { excludeOutboundPorts, excludeOutboundRanges, includeOutboundRanges: included } = settings;
  return [
    ...(excludeOutboundPorts.length > 0 ? [['excludeOutboundPorts', excludeOutboundPorts.join()] as const] : []),
    ...(excludeOutboundRanges.length > 0 ? [['excludeOutboundIPRanges', excludeOutboundRanges.join()] as const] : []),
    ...(included === '*' ? [] : [['includeOutboundIPRanges', included.join() || 'none'] as const]),
  ];
}

/** Of Pods that say what of their inbound traffic is captured. */
export function inboundCaptures(
  pods: readonly ResourceOf<'Pod'>[],
  mesh: MeshConfig,
): ReadonlyMap<string, WorkloadCapture['takesInbound']> {
  const saying = pods.filter(({ metadata: { annotations } }) =>
    [CAPTURE_ANNOTATION, `${PREFIX}includeInboundPorts`, `${PREFIX}excludeInboundPorts`].some((name) => annotations[name] !== undefined),
  );
  return new Map(
    saying.map(({ metadata: { namespace, name, annotations }, spec }) => [
      `${namespace}/${name}`,
      captureOf({ annotations, spec }, mesh).takesInbound,
    ]),
  );
}

function takes(settings: CaptureSettings, ip: string, port: string): boolean {
  const { excludeOutboundPorts, excludeOutboundRanges, includeOutboundPorts, includeOutboundRanges: included } = settings;
  if (excludeOutboundPorts.includes(port) || isIn(ip, excludeOutboundRanges)) return false;
  return included === '*' || includeOutboundPorts.includes(port) || isIn(ip, included);
}

function isIn(ip: string, ranges: readonly string[]): boolean {
  const words = parseIp(ip);
  return (
    words !== undefined &&
    ranges.some((text) => {
      const range = parseRange(text);
      return range !== undefined && range.words.length === words.length && cidrContains(range, words);
    })
  );
}

/** The application's containers that run as the proxy's own user, whose traffic is left alone, or as its group, whose traffic Istio's rules leave alone. */
function proxyUsers(spec: Pod | undefined, proxyUid: number): string[] {
  if (!spec) return [];
  return [...spec.initContainers, ...spec.containers].flatMap(({ name, securityContext }) => {
    if (name === PROXY_CONTAINER || CAPTURE_CONTAINERS.includes(name)) return [];
    const { runAsUser, runAsGroup } = { ...spec.securityContext, ...securityContext };
    if (runAsUser === proxyUid) return [`container ${name} runs as user ${proxyUid}, the proxy's own`];
    return runAsGroup === proxyUid
      ? [`container ${name} runs as group ${proxyUid}, the proxy's own, which Istio's capture leaves alone`]
      : [];
  });
}
