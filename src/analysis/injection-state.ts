/** What the files say of sidecar injection: the namespaces' and pods' labels, and the injector's ConfigMap. */
import type { Pod, ResourceOf } from '../api/index.ts';
import { namespaceInjection, podInjection, proxyContainer, REVISION_LABEL } from '../api/injection.ts';
import type { Context } from './context.ts';

const INJECTOR = 'istio-sidecar-injector';

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
