/** What labels and annotations say of sidecar injection. */
import type { Pod } from './index.ts';
import type { Metadata, Resource } from './resource.ts';
import { MODE_LABEL } from './unserved.ts';

export const PROXY_CONTAINER = 'istio-proxy';
const INJECTION_LABEL = 'istio-injection';
export const REVISION_LABEL = 'istio.io/rev';
/** Of the control plane without a name. */
export const DEFAULT_REVISION = 'default';

/** Of the control plane that an object with these labels is left to, where one of several is to see to it. */
export function revisionOf(labels: Readonly<Record<string, string>>): string {
  return labels[REVISION_LABEL] ?? DEFAULT_REVISION;
}
const POD_LABEL = 'sidecar.istio.io/inject';

/** Istio's annotations of pods that have no effect here. */
export const IGNORED_ANNOTATIONS: readonly string[] = [
  'sidecar.istio.io/bootstrapOverride',
  'sidecar.istio.io/capNetBindService',
  'sidecar.istio.io/componentLogLevel',
  'sidecar.istio.io/proxyImageType',
  'sidecar.istio.io/userVolume',
  'sidecar.istio.io/userVolumeMount',
  'traffic.sidecar.istio.io/excludeInterfaces',
  'traffic.sidecar.istio.io/kubevirtInterfaces',
  'istio.io/reroute-virtual-interfaces',
  'prometheus.istio.io/scrape-targets',
];

const SYSTEM_NAMESPACES: ReadonlySet<string> = new Set(['kube-system', 'kube-public', 'kube-node-lease', 'local-path-storage']);

/** Kubernetes' own, into which nothing is injected. */
export function isSystemNamespace(name: string): boolean {
  return SYSTEM_NAMESPACES.has(name);
}

/** A namespace should have one of these labels. `istio-injection: disabled` keeps sidecars out even beside another one. */
export function injectionLabels({ metadata: { labels } }: Resource): string[] {
  const own = labels[INJECTION_LABEL];
  const others = own === undefined || own === 'enabled' ? [REVISION_LABEL, MODE_LABEL].filter((name) => labels[name] !== undefined) : [];
  return own === undefined ? others : [INJECTION_LABEL, ...others];
}

/** How a namespace's labels decide: `unsaid` if it has none, `both` if it has labels of both styles. */
type NamespaceInjection = 'enabled' | 'disabled' | 'both' | 'unsaid' | 'ambient';

export function namespaceInjection({ metadata: { labels } }: Resource): NamespaceInjection {
  const [label, revision] = [labels[INJECTION_LABEL], labels[REVISION_LABEL]];
  if (revision !== undefined) return label ? 'both' : 'enabled';
  if (label) return label === 'enabled' ? 'enabled' : 'disabled';
  return labels[MODE_LABEL] === 'ambient' ? 'ambient' : 'unsaid';
}

/** What the pod itself says of its injection, which goes before its namespace; undefined if nothing. */
export function podInjection(labels: Readonly<Record<string, string>>, annotations: Readonly<Record<string, string>>): boolean | undefined {
  const said = labels[POD_LABEL] ?? annotations[POD_LABEL];
  if (said !== undefined) return said.toLowerCase() !== 'false';
  return labels[REVISION_LABEL] === undefined ? undefined : true;
}

/** The proxy's container, be it a sidecar of either kind or a gateway's. */
export function proxyContainer(pod: Pod): Pod['containers'][number] | undefined {
  return [...pod.containers, ...pod.initContainers].find(({ name }) => name === PROXY_CONTAINER);
}

/** What decides whether a pod gets a sidecar: of a Pod, or of a template. */
export interface Injected extends Pick<Metadata, 'labels' | 'annotations'> {
  readonly pod: Pod | undefined;
  readonly namespace: Resource | undefined;
}

/**
 * Why a pod has no sidecar, as the end of a sentence; undefined where it has one or may get one. Where nothing is said, files written by hand are taken
 * to leave injection out, not to be without it.
 */
export function withoutSidecar({ pod, labels, annotations, namespace }: Injected): string | undefined {
  if (pod && proxyContainer(pod)) return undefined;
  if (pod?.hostNetwork) return "is on its node's network (hostNetwork)";
  const said = podInjection(labels, annotations);
  if (said !== undefined) return said ? undefined : `says ${POD_LABEL}: "false"`;
  return namespace && namespaceInjection(namespace) === 'disabled' ? `is in a namespace with ${INJECTION_LABEL}: disabled` : undefined;
}
