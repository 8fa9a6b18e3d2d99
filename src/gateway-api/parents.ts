/** What routes are attached to: listeners of Gateways, or hosts of the mesh. */
import { GATEWAY_API, type ParentReference } from '../api/gateway-api/common.ts';
import type { PathStep } from '../api/resource.ts';
import { hostCovers } from '../lib/hostname.ts';
import { closest } from '../lib/spelling.ts';
import { type AttachableListener, listenersKey, type ServedListener } from './gateways.ts';
import { commonHosts, serviceHost } from './hosts.ts';
import type { Context, Objects, Route } from './model.ts';

/** A route on one listener, or on hosts of the mesh. */
export type Attachment<L extends AttachableListener = ServedListener> =
  | { readonly kind: 'listener'; readonly listener: L; readonly hosts: readonly string[] }
  | {
      readonly kind: 'mesh';
      readonly hosts: readonly string[];
      /** To which the parent's reference confines the route. */
      readonly port: number | undefined;
      /** False where the parent is another namespace's: the route then holds for its own namespace's clients. */
      readonly producer: boolean;
    };

/** What becomes of one of a route's parents. */
export interface ParentOutcome<L extends AttachableListener = ServedListener> {
  readonly parent: ParentReference;
  readonly path: readonly PathStep[];
  readonly attachments: readonly Attachment<L>[];
  /** Why the route is not attached to it. */
  readonly refused?: {
    /** A `RouteConditionReason` of the API. */
    readonly reason: string;
    readonly message: string;
  };
  /** The parent is another controller's, or is not there. */
  readonly foreign?: true;
}

export function attachmentsOf(context: Context, route: Route, listeners: ReadonlyMap<string, readonly ServedListener[]>): Attachment[] {
  return parentOutcomes(context, route, listeners).flatMap(({ attachments, refused, path }) => {
    if (refused) context.report('SP0012', route, path, refused.message);
    return attachments;
  });
}

/** @param listeners by `listenersKey`, of those that are ours */
export function parentOutcomes<L extends AttachableListener>(
  { objects }: Pick<Context, 'objects'>,
  route: Route,
  listeners: ReadonlyMap<string, readonly L[]>,
): ParentOutcome<L>[] {
  return route.spec.parentRefs.map((parent, index) => {
    const path = ['spec', 'parentRefs', index];
    const outcome =
      parent.group === GATEWAY_API && (parent.kind === 'Gateway' || parent.kind === 'ListenerSet')
        ? toGateway(objects, route, parent, listeners)
        : toMesh<L>(objects, route, parent);
    return { parent, path, ...outcome };
  });
}

type Outcome<L extends AttachableListener> = Pick<ParentOutcome<L>, 'attachments' | 'refused' | 'foreign'>;

function refused(reason: string, message: string): { readonly attachments: []; readonly refused: { reason: string; message: string } } {
  return { attachments: [], refused: { reason, message } };
}

function toGateway<L extends AttachableListener>(
  objects: Objects,
  route: Route,
  parent: ParentReference,
  listeners: ReadonlyMap<string, readonly L[]>,
): Outcome<L> {
  const { namespace } = route.metadata;
  const owner = parent.namespace ?? namespace;
  const refuse = (reason: string, message: string, mend: string) =>
    refused(reason, `${message}, so the route is not attached to it and takes no traffic there. ${mend}`);
  const named = `${parent.kind} ${owner}/${parent.name}`;
  const kind = parent.kind === 'ListenerSet' ? 'ListenerSet' : 'KubernetesGateway';
  if (!objects.get(kind, owner, parent.name))
    return {
      ...refuse('NoMatchingParent', `there is no ${named} of ${GATEWAY_API}`, nearest(objects, kind, owner, parent.name)),
      foreign: true,
    };
  const served = listeners.get(listenersKey(parent.kind, owner, parent.name));
  // A Gateway of another controller, and so are its routes; or a set that no Gateway takes, which is told.
  if (!served) return { attachments: [], foreign: true };
  const meant = served.filter(
    ({ listener }) =>
      (parent.sectionName === undefined || listener.name === parent.sectionName) &&
      (parent.port === undefined || listener.port === parent.port),
  );
  if (meant.length === 0)
    return refuse(
      'NoMatchingParent',
      `${named} serves no listener ${parent.sectionName ?? parent.port ?? ''}`.trimEnd(),
      served.length > 0
        ? `Name one that it has (${served.map(({ listener }) => `${listener.name} on ${listener.port}`).join(', ')}).`
        : 'Mend its listeners.',
    );
  const kinds = meant.filter(({ kinds }) => kinds.includes(route.kind));
  if (kinds.length === 0)
    return refuse(
      'NotAllowedByListeners',
      `no listener of ${named} takes routes of kind ${route.kind}`,
      'Add one whose protocol and allowedRoutes.kinds do.',
    );
  const allowed = kinds.filter(({ namespaces }) => namespaces === undefined || namespaces.has(namespace));
  if (allowed.length === 0)
    return refuse(
      'NotAllowedByListeners',
      `${named} takes no routes of namespace ${namespace} (allowedRoutes.namespaces of its listeners)`,
      'Allow them there (from: All, or a selector of the namespace).',
    );
  const hostnames = 'hostnames' in route.spec ? route.spec.hostnames : [];
  const attachments = allowed
    .map((listener) => ({ kind: 'listener' as const, listener, hosts: commonHosts(hostnames, listener.listener.hostname) }))
    .filter(({ hosts }) => hosts.length > 0);
  if (attachments.length > 0) return { attachments: isHttp(route) ? attachments.map((one) => isolated(one, served)) : attachments };
  return refuse(
    'NoMatchingListenerHostname',
    `none of the hostnames (${hostnames.join(', ')}) is one that a listener of ${named} serves`,
    'Write a hostname that one serves, or add a listener for it.',
  );
}

function nearest(objects: Objects, kind: 'ListenerSet' | 'KubernetesGateway', owner: string, name: string): string {
  const names = objects.list(kind).map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  const near = names.find((text) => text.endsWith(`/${name}`)) ?? closest(`${owner}/${name}`, names);
  return near ? `Did you mean ${near}?` : 'Correct the name or namespace, or create it.';
}

function isHttp({ kind }: Route): boolean {
  return kind === 'HTTPRoute' || kind === 'GRPCRoute';
}

/**
 * Without the hosts that a listener of a narrower hostname has, on the same port: its requests are for its own routes alone, even where these match nothing
 * (the API's listener isolation). The route stays attached.
 */
function isolated<L extends AttachableListener, A extends { readonly listener: L; readonly hosts: readonly string[] }>(
  attachment: A,
  all: readonly L[],
): A {
  const { name, port, protocol, hostname = '' } = attachment.listener.listener;
  const narrower = all.flatMap(({ listener }) => {
    const rival = listener.name !== name && listener.port === port && listener.protocol === protocol ? listener.hostname : undefined;
    return rival !== undefined && rival !== hostname && rival.length >= hostname.length ? [rival] : [];
  });
  return { ...attachment, hosts: attachment.hosts.filter((host) => !narrower.some((rival) => hostCovers(rival, host))) };
}

function toMesh<L extends AttachableListener>(objects: Objects, route: Route, parent: ParentReference): Outcome<L> {
  const owner = parent.namespace ?? route.metadata.namespace;
  const hosts = meshHosts(objects, parent, owner);
  if (!hosts) {
    const message = `a route can't be attached to ${parent.group ? `${parent.group}/` : ''}${parent.kind}, only to a Gateway, a ListenerSet, a Service or a ServiceEntry.`;
    return { ...refused('NoMatchingParent', message), foreign: true };
  }
  if (hosts.length === 0)
    return {
      ...refused(
        'NoMatchingParent',
        `there is no ${parent.kind} ${owner}/${parent.name}, so the route takes no traffic. Correct the name or namespace, or create it.`,
      ),
      foreign: true,
    };
  return { attachments: [{ kind: 'mesh', hosts, port: parent.port, producer: owner === route.metadata.namespace }] };
}

/** None where the object is not there; undefined for kinds that no route is attached to. */
function meshHosts(objects: Objects, parent: ParentReference, owner: string): readonly string[] | undefined {
  if ((parent.group === '' || parent.group === 'core') && parent.kind === 'Service')
    return objects.get('Service', owner, parent.name) ? [serviceHost(parent.name, owner)] : [];
  if (parent.group === 'networking.istio.io' && parent.kind === 'ServiceEntry')
    return objects.get('ServiceEntry', owner, parent.name)?.spec.hosts ?? [];
  return undefined;
}
