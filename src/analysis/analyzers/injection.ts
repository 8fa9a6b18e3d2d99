import type { Pod } from '../../api/index.ts';
import { injectionLabels, isSystemNamespace, namespaceInjection, podInjection, proxyContainer } from '../../api/injection.ts';
import type { Resource } from '../../api/resource.ts';
import type { Context } from '../context.ts';
import { isDefaultGateway } from '../default-gateways.ts';
import { type InjectorValues, injectorValues, isInMesh } from '../injection-state.ts';

/** Kinds that configure routing. Files with these but no workload describe routing alone, so a missing injection label means nothing there. */
const ROUTING = ['Gateway', 'VirtualService', 'ServiceEntry', 'DestinationRule', 'Sidecar'] as const;

/** IST0102, IST0123, IST0148: what a namespace's labels say of injection. */
export function namespaceLabels(context: Context): void {
  if (describesRoutingAlone(context)) return;
  for (const namespace of context.of('Namespace')) {
    const { name } = namespace.metadata;
    if (name === context.mesh.rootNamespace || isSystemNamespace(name)) continue;
    const path = ['metadata', 'name'];
    const labels = injectionLabels(namespace);
    if (labels.length > 1) {
      const said = labels.map((label) => `${label}: ${namespace.metadata.labels[label]}`);
      context.report(
        'IST0123',
        namespace,
        ['metadata', 'labels', labels[0]!],
        `Namespace ${name} says more than once how its pods join the mesh (${said.join(', ')}): which of them counts depends on the installation, so pods may get another proxy than is meant, or none. Keep one of the labels.`,
      );
    }
    if (namespaceInjection(namespace) !== 'unsaid') continue;
    if (injectorValues(context, namespace)?.sidecarInjectorWebhook?.enableNamespacesByDefault)
      context.report(
        'IST0148',
        namespace,
        path,
        `Namespace ${name} has no injection label, and its pods get a sidecar only because the installation sets enableNamespacesByDefault. Say so with the label istio-injection: enabled, or disabled to leave them out.`,
      );
    else
      context.report(
        'IST0102',
        namespace,
        path,
        `Namespace ${name} has no injection label: its pods run without a sidecar, and their calls are neither routed nor kept from leaving. Label it istio-injection: enabled, or disabled if that is meant.`,
      );
  }
}

function describesRoutingAlone(context: Context): boolean {
  const own = (resource: Resource) => !isDefaultGateway(resource);
  const workloads = [context.of('Pod'), context.of('Deployment'), context.of('Service')].some((list) => list.some(own));
  return !workloads && ROUTING.some((kind) => context.of(kind).length > 0);
}

/** IST0103: pods of an injected namespace that have no sidecar. */
export function podsWithoutProxy(context: Context): void {
  for (const pod of context.of('Pod')) {
    const { namespace, name, labels, annotations } = pod.metadata;
    const owner = context.find('Namespace', '', namespace);
    if (!owner || namespaceInjection(owner) !== 'enabled') continue;
    if (pod.spec.hostNetwork || podInjection(labels, annotations) === false || proxyContainer(pod.spec)) continue;
    context.report(
      'IST0103',
      pod,
      ['metadata', 'name'],
      `Pod ${namespace}/${name} has no sidecar although its namespace is injected: its calls go out past every route and policy. Restart it so that it is injected, or say with the label sidecar.istio.io/inject: "false" that it is to have none.`,
    );
  }
}

/** IST0146, IST0147: pods that ask for the image `auto`, which only the injector replaces. */
export function automaticImages(context: Context): void {
  for (const pod of context.of('Pod')) {
    if (!asksForAutomatic(pod.spec)) continue;
    context.report(
      'IST0147',
      pod,
      ['spec', 'containers'],
      `The container istio-proxy of this pod has the image "auto", which the injector replaces when a pod is created and did not here: the pod cannot start. Label its namespace istio-injection: enabled (or the pod sidecar.istio.io/inject: "true") and create it anew.`,
    );
  }
  for (const deployment of context.of('Deployment')) {
    const { template } = deployment.spec;
    if (!template.spec || !asksForAutomatic(template.spec) || isInjected(context, deployment.metadata.namespace, template.metadata))
      continue;
    context.report(
      'IST0146',
      deployment,
      ['spec', 'template', 'spec', 'containers'],
      `The container istio-proxy has the image "auto", but nothing injects pods of namespace ${deployment.metadata.namespace}: they cannot start. Label the namespace istio-injection: enabled, or the template sidecar.istio.io/inject: "true".`,
    );
  }
}

function asksForAutomatic(pod: Pod): boolean {
  return proxyContainer(pod)?.image === 'auto';
}

/** By labels alone: that the pod has a proxy's container already is the question. */
function isInjected(
  context: Context,
  namespace: string,
  template: { readonly labels?: Readonly<Record<string, string>>; readonly annotations?: Readonly<Record<string, string>> } | undefined,
): boolean {
  return isInMesh(context, namespace, WITHOUT_CONTAINERS, template?.labels ?? {}, template?.annotations ?? {});
}

const WITHOUT_CONTAINERS: Pod = { containers: [], initContainers: [], hostNetwork: false };

/** IST0158: sidecars whose image is another than the injector would write now. */
export function proxyImages(context: Context): void {
  const byNamespace = new Map<string, Resource<'Pod', Pod>[]>();
  for (const pod of context.of('Pod')) {
    if (isDefaultGateway(pod)) continue;
    const list = byNamespace.get(pod.metadata.namespace);
    if (list) list.push(pod);
    else byNamespace.set(pod.metadata.namespace, [pod]);
  }
  for (const namespace of context.of('Namespace')) {
    if (namespaceInjection(namespace) !== 'enabled') continue;
    const image = imageOf(injectorValues(context, namespace));
    if (image === undefined) continue;
    const others = (byNamespace.get(namespace.metadata.name) ?? []).filter(({ metadata, spec }) => {
      const running = proxyContainer(spec)?.image;
      if (running === undefined || running === 'auto' || metadata.annotations['sidecar.istio.io/proxyImage']) return false;
      return withoutType(running) !== withoutType(image);
    });
    if (others.length === 0) continue;
    context.report(
      'IST0158',
      namespace,
      ['metadata', 'name'],
      `The sidecars of ${others.map(({ metadata }) => metadata.name).join(', ')} have another image than ${image}, which the injector writes now: they lack what its version brings. Restart the pods.`,
    );
  }
}

/** Without the variant (imageType), which a pod or a ProxyConfig may choose. */
function withoutType(image: string): string {
  return image.replace(/-(?:distroless|debug)$/, '');
}

function imageOf(values: InjectorValues | undefined): string | undefined {
  const image = values?.global?.proxy?.image;
  if (!image) return undefined;
  return image.includes('/') ? image : `${values?.global?.hub ?? ''}/${image}:${values?.global?.tag ?? ''}`;
}
