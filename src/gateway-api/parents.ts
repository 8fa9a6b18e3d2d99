/** What routes are attached to: listeners of Gateways, or hosts of the mesh. */
import { GATEWAY_API, type ParentReference } from '../api/gateway-api/common.ts';
import type { PathStep } from '../api/resource.ts';
import type { ServedListener } from './gateways.ts';
import { commonHosts, serviceHost } from './hosts.ts';
import type { Context, Route } from './model.ts';

/** A route on one listener, or on hosts of the mesh. */
export type Attachment =
  | { readonly kind: 'listener'; readonly listener: ServedListener; readonly hosts: readonly string[] }
  | {
      readonly kind: 'mesh';
      readonly hosts: readonly string[];
      /** To which the parent's reference confines the route. */
      readonly port: number | undefined;
      /** False where the parent is another namespace's: the route then holds for its own namespace's clients. */
      readonly producer: boolean;
    };

export function attachmentsOf(context: Context, route: Route, listeners: ReadonlyMap<string, readonly ServedListener[]>): Attachment[] {
  return route.spec.parentRefs.flatMap((parent, index): Attachment[] => {
    const path = ['spec', 'parentRefs', index];
    if (parent.group === GATEWAY_API && parent.kind === 'Gateway') return toGateway(context, route, parent, path, listeners);
    const hosts = meshHosts(context, route, parent, path);
    const producer = (parent.namespace ?? route.metadata.namespace) === route.metadata.namespace;
    return hosts.length > 0 ? [{ kind: 'mesh', hosts, port: parent.port, producer }] : [];
  });
}

function toGateway(
  context: Context,
  route: Route,
  parent: ParentReference,
  path: readonly PathStep[],
  listeners: ReadonlyMap<string, readonly ServedListener[]>,
): Attachment[] {
  const { namespace } = route.metadata;
  const owner = parent.namespace ?? namespace;
  const refuse = (message: string): Attachment[] => {
    context.report('SP0012', route, path, `${message}, so the route is not attached to it and takes no traffic there.`);
    return [];
  };
  const named = `Gateway ${owner}/${parent.name}`;
  if (!context.objects.get('KubernetesGateway', owner, parent.name)) return refuse(`there is no ${named} of ${GATEWAY_API}`);
  const served = listeners.get(`${owner}/${parent.name}`);
  // A Gateway of another controller, and so are its routes.
  if (!served) return [];
  const meant = served.filter(
    ({ listener }) =>
      (parent.sectionName === undefined || listener.name === parent.sectionName) &&
      (parent.port === undefined || listener.port === parent.port),
  );
  if (meant.length === 0) return refuse(`${named} serves no listener ${parent.sectionName ?? parent.port ?? ''}`.trimEnd());
  const kinds = meant.filter(({ kinds }) => kinds.includes(route.kind));
  if (kinds.length === 0) return refuse(`no listener of ${named} takes routes of kind ${route.kind}`);
  const allowed = kinds.filter(({ namespaces }) => namespaces === undefined || namespaces.has(namespace));
  if (allowed.length === 0) return refuse(`${named} takes no routes of namespace ${namespace} (allowedRoutes.namespaces of its listeners)`);
  const hostnames = 'hostnames' in route.spec ? route.spec.hostnames : [];
  const attached = allowed
    .map((listener) => ({ kind: 'listener' as const, listener, hosts: commonHosts(hostnames, listener.listener.hostname) }))
    .filter(({ hosts }) => hosts.length > 0);
  if (attached.length === 0) return refuse(`none of the hostnames (${hostnames.join(', ')}) is one that a listener of ${named} serves`);
  return attached;
}

function meshHosts(context: Context, route: Route, parent: ParentReference, path: readonly PathStep[]): readonly string[] {
  const owner = parent.namespace ?? route.metadata.namespace;
  const missing = (kind: string) => {
    context.report('SP0012', route, path, `there is no ${kind} ${owner}/${parent.name}, so the route takes no traffic.`);
    return [];
  };
  if ((parent.group === '' || parent.group === 'core') && parent.kind === 'Service') {
    return context.objects.get('Service', owner, parent.name) ? [serviceHost(parent.name, owner)] : missing('Service');
  }
  if (parent.group === 'networking.istio.io' && parent.kind === 'ServiceEntry') {
    return context.objects.get('ServiceEntry', owner, parent.name)?.spec.hosts ?? missing('ServiceEntry');
  }
  const message = `a route can't be attached to ${parent.group ? `${parent.group}/` : ''}${parent.kind}, only to a Gateway, a Service or a ServiceEntry.`;
  context.report('SP0012', route, path, message);
  return [];
}
