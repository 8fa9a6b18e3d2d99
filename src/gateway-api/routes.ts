/** Routes as VirtualServices: one for each Gateway (or the mesh) and host, in which the rules of all routes there stand in the API's order. */

import { derive, type Locate, type Place } from '../api/derived.ts';
import { withOrigin } from '../api/derived-rule.ts';
import type { ResourceOf } from '../api/index.ts';
import { streamDestinations } from './backends.ts';
import type { ServedListener } from './gateways.ts';
import { type DerivedRule, derivedRules, type HttpRoute, inOrder } from './http.ts';
import { type Context, DERIVED_SUFFIX } from './model.ts';
import { type Attachment, attachmentsOf } from './parents.ts';

type VirtualService = ResourceOf<'VirtualService'>;
type Listeners = ReadonlyMap<string, readonly ServedListener[]>;

interface Draft {
  readonly first: HttpRoute;
  readonly gateway: string;
  readonly host: string;
  readonly exportTo: readonly string[];
  readonly rules: DerivedRule[];
}

export function deriveHttp(context: Context, listeners: Listeners): VirtualService[] {
  const drafts = new Map<string, Draft>();
  const routes: HttpRoute[] = [...context.objects.list('HTTPRoute'), ...context.objects.list('GRPCRoute')];
  for (const route of routes.sort((a, b) => a.order - b.order)) {
    for (const attachment of attachmentsOf(context, route, listeners)) {
      const rules = derivedRules(contextFor(context, attachment), route, attachment.kind === 'mesh' ? attachment.port : undefined);
      if (rules.length === 0) continue;
      for (const host of attachment.hosts) {
        if (attachment.kind === 'mesh' && host.startsWith('*')) reportWildcard(context, route, host);
        else draftFor(drafts, route, attachment, host).rules.push(...rules);
      }
    }
  }
  const counts = new Map<HttpRoute, number>();
  return [...drafts.values()].map((draft) => {
    const index = counts.get(draft.first) ?? 0;
    counts.set(draft.first, index + 1);
    return virtualService(draft, index);
  });
}

/** Istio takes such a route for one without a service (`separateVSHostsAndServices`), and leaves it out. */
function reportWildcard(context: Context, route: HttpRoute, host: string): void {
  const message = `${route.kind}s do not hold for the wildcard ${host} of a ServiceEntry, as in Istio: its requests go where the ServiceEntry leads, past this route. List the names in the ServiceEntry, or write a VirtualService.`;
  context.report('SP0012', route, ['spec', 'parentRefs'], message);
}

function contextFor(context: Context, { kind }: Attachment): Context {
  return kind === 'mesh' ? { ...context, onMesh: true } : context;
}

function draftFor(drafts: Map<string, Draft>, route: HttpRoute, attachment: Attachment, host: string): Draft {
  // On the mesh a namespace's routes stay its own: nobody else's rules come among them.
  const { namespace } = route.metadata;
  const [gateway, key] =
    attachment.kind === 'listener' ? [attachment.listener.internalName, attachment.listener.internalName] : ['mesh', `mesh ${namespace}`];
  const exportTo = attachment.kind === 'mesh' && !attachment.producer ? ['.'] : [];
  const known = drafts.get(`${key} ${host}`);
  if (known) return known;
  const draft: Draft = { first: route, gateway, host, exportTo, rules: [] };
  drafts.set(`${key} ${host}`, draft);
  return draft;
}

function virtualService({ first, gateway, host, exportTo, rules }: Draft, index: number): VirtualService {
  const ordered = inOrder(rules);
  const spec = { hosts: [host], gateways: [gateway], exportTo, http: ordered.map(({ raw }) => raw) };
  const name = `${first.metadata.name}-${index}-${DERIVED_SUFFIX}`;
  const derived = derive(first, { kind: 'VirtualService', name, spec, locate: locateIn(first, ordered) });
  const http = derived.spec.http.map((rule, at) => withOrigin(rule, ordered[at]!.route));
  return { ...derived, spec: { ...derived.spec, http } };
}

function locateIn(first: HttpRoute, rules: readonly DerivedRule[]): Locate {
  return ([top, list, index, field, at, ...rest]): Place => {
    const rule = list === 'http' && typeof index === 'number' ? rules[index] : undefined;
    if (top !== 'spec' || !rule) return { resource: first, path: placeOf(top, list) };
    const path = ['spec', 'rules', rule.rule];
    if (field === 'match' && rule.match !== undefined) return { resource: rule.route, path: [...path, 'matches', rule.match] };
    if (field === 'route') {
      // Backends with a weight of 0 are left out, so only a lone one is sure to be the one that is meant.
      const backends = rule.route.spec.rules[rule.rule]?.backendRefs ?? [];
      const kept = backends.flatMap(({ weight }, position) => (weight > 0 ? [position] : []));
      const position = typeof at === 'number' ? kept[at] : undefined;
      const port = rest[1] === 'port' ? ['port'] : rest[1] === 'host' ? ['name'] : [];
      return {
        resource: rule.route,
        path: position === undefined ? [...path, 'backendRefs'] : [...path, 'backendRefs', position, ...port],
      };
    }
    return { resource: rule.route, path };
  };
}

function placeOf(top: unknown, list: unknown): readonly string[] {
  if (top === 'metadata') return ['metadata'];
  if (top !== 'spec') return [];
  if (list === 'hosts') return ['spec', 'hostnames'];
  return list === 'gateways' ? ['spec', 'parentRefs'] : ['spec'];
}

type StreamRoute = ResourceOf<'TLSRoute' | 'TCPRoute'>;

export function deriveStreams(context: Context, listeners: Listeners): (VirtualService | ResourceOf<'Gateway'>)[] {
  const routes: StreamRoute[] = [...context.objects.list('TLSRoute'), ...context.objects.list('TCPRoute')];
  return routes
    .sort((a, b) => a.order - b.order)
    .flatMap((route) =>
      attachmentsOf(context, route, listeners).flatMap((attachment, index) =>
        isTerminated(route, attachment)
          ? terminatedServices(context, route, attachment, index)
          : [streamService(context, route, attachment, index)],
      ),
    );
}

type ListenerAttachment = Extract<Attachment, { readonly kind: 'listener' }>;

/** Whether the gateway ends TLS, and passes on what it carried. */
function isTerminated(route: StreamRoute, attachment: Attachment): attachment is ListenerAttachment {
  return route.kind === 'TLSRoute' && attachment.kind === 'listener' && attachment.listener.listener.tls?.mode !== 'Passthrough';
}

/**
 * What TLS carried names no host any more: which route it takes has to be decided by the server that ends TLS. The listener's own is that for its own
 * hostname; for others there is one of the route's.
 */
function terminatedServices(context: Context, route: StreamRoute, { listener, hosts }: ListenerAttachment, index: number) {
  const own = listener.listener.hostname ?? '*';
  const others = hosts.filter((host) => host !== own);
  const service = (gateway: string, at: number) => terminatedService(context, route, gateway, `${index}-${at}`);
  const result: (VirtualService | ResourceOf<'Gateway'>)[] = hosts.includes(own) ? [service(listener.internalName, 0)] : [];
  if (others.length === 0) return result;
  const { namespace, name } = route.metadata;
  const gateway = listener.withHosts(
    `${namespace}-${name}`,
    others.map((host) => `${namespace}/${host}`),
  );
  return [...result, gateway, service(`${gateway.metadata.namespace}/${gateway.metadata.name}`, 1)];
}

function terminatedService(context: Context, route: StreamRoute, gateway: string, suffix: string): VirtualService {
  const rules = route.spec.rules.map(({ backendRefs }, at) => ({
    route: streamDestinations(context, route, backendRefs, ['spec', 'rules', at, 'backendRefs']),
  }));
  const name = `${route.metadata.name}-tls-${suffix}-${DERIVED_SUFFIX}`;
  return derive(route, {
    kind: 'VirtualService',
    name,
    spec: { hosts: ['*'], gateways: [gateway], tcp: rules },
    locate: locateStream(route),
  });
}

function streamService(context: Context, route: StreamRoute, attachment: Attachment, index: number): VirtualService {
  const gateway = attachment.kind === 'listener' ? attachment.listener.internalName : 'mesh';
  const port = attachment.kind === 'mesh' && attachment.port !== undefined ? { port: attachment.port } : undefined;
  const destinations = route.spec.rules.map(({ backendRefs }, at) =>
    streamDestinations(contextFor(context, attachment), route, backendRefs, ['spec', 'rules', at, 'backendRefs']),
  );
  const tls = route.kind === 'TLSRoute';
  const sniHosts = !tls ? [] : attachment.kind === 'listener' ? attachment.hosts : (route as ResourceOf<'TLSRoute'>).spec.hostnames;
  const rules = destinations.map((targets) => ({
    ...(tls ? { match: [{ sniHosts, ...port }] } : port && { match: [port] }),
    route: targets,
  }));
  const exportTo = attachment.kind === 'mesh' && !attachment.producer ? ['.'] : [];
  // Bytes name no host: at a gateway a TCPRoute is for all.
  const hosts = attachment.kind === 'listener' && !tls ? ['*'] : attachment.hosts;
  const spec = { hosts, gateways: [gateway], exportTo, [tls ? 'tls' : 'tcp']: rules };
  const name = `${route.metadata.name}-${tls ? 'tls' : 'tcp'}-${index}-${DERIVED_SUFFIX}`;
  return derive(route, { kind: 'VirtualService', name, spec, locate: locateStream(route) });
}

function locateStream(route: StreamRoute): Locate {
  return ([top, list, index, field, at]) => {
    if (top !== 'spec' || (list !== 'tls' && list !== 'tcp') || typeof index !== 'number')
      return { resource: route, path: placeOf(top, list) };
    if (field === 'match') return { resource: route, path: route.kind === 'TLSRoute' ? ['spec', 'hostnames'] : ['spec', 'parentRefs'] };
    const path = ['spec', 'rules', index];
    if (field !== 'route') return { resource: route, path };
    const backends = route.spec.rules[index]?.backendRefs ?? [];
    const kept = backends.flatMap(({ weight }, position) => (weight > 0 ? [position] : []));
    const position = typeof at === 'number' ? kept[at] : undefined;
    return { resource: route, path: position === undefined ? [...path, 'backendRefs'] : [...path, 'backendRefs', position] };
  };
}
