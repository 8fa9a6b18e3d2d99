/** What the files say of sidecar injection: the namespaces' and pods' labels, and the injector's ConfigMap. */
import type { Pod, ResourceOf } from '../api/index.ts';
import type { Resource } from '../api/resource.ts';
import { MODE_LABEL } from '../api/unserved.ts';
import type { Context } from './context.ts';

export const PROXY_CONTAINER = 'istio-proxy';
const INJECTION_LABEL = 'istio-injection';
const REVISION_LABEL = 'istio.io/rev';
const POD_LABEL = 'sidecar.istio.io/inject';
const INJECTOR = 'istio-sidecar-injector';
const SYSTEM_NAMESPACES: ReadonlySet<string> = new Set(['kube-system', 'kube-public', 'kube-node-lease', 'local-path-storage']);

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

export function isSystemNamespace(name: string): boolean {
  return SYSTEM_NAMESPACES.has(name);
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

/** Whether the pod has a proxy or gets one; `false` too where the files do not say. */
export function isInMesh(
  context: Context,
  namespace: string,
  pod: Pod,
  labels: Readonly<Record<string, string>>,
  annotations: Readonly<Record<string, string>>,
): boolean {
  if (proxyContainer(pod)) return true;
  const said = podInjection(labels, annotations);
  if (said !== undefined) return said;
  const owner = context.find('Namespace', '', namespace);
  return owner !== undefined && namespaceInjection(owner) === 'enabled';
}

/** The injector's settings for a revision, from its ConfigMap; undefined if the files have none that can be read. */
export function injectorValues(context: Context, namespace: ResourceOf<'Namespace'>): InjectorValues | undefined {
  const revision = namespace.metadata.labels[REVISION_LABEL];
  const name = revision && revision !== 'default' ? `${INJECTOR}-${revision}` : INJECTOR;
  const text = context.of('ConfigMap').find(({ metadata }) => metadata.name === name)?.spec.data.values;
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as InjectorValues;
  } catch {
    return undefined;
  }
}

/** Of Istio's Helm values what is read here. */
export interface InjectorValues {
  readonly global?: { readonly hub?: string; readonly tag?: string | number; readonly proxy?: { readonly image?: string } };
  readonly sidecarInjectorWebhook?: { readonly enableNamespacesByDefault?: boolean };
}
