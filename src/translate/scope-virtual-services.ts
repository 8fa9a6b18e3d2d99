/** VirtualServices as routing reads them: short names made full, delegates merged into their roots, indexed by gateway. */
import type { Destination, HttpMatchRequest, HttpRoute, ResourceOf, VirtualService } from '../api/index.ts';
import { fullHostname } from '../lib/hostname.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import type { Visibility } from '../registry/model.ts';
import { isVisible, visibilityOf } from '../registry/visibility.ts';
import type { Mesh } from './model.ts';
import { MESH_GATEWAY } from './names.ts';
import { mergeDelegate } from './scope-delegates.ts';

interface PreparedVirtualService {
  readonly resource: ResourceOf<'VirtualService'>;
  readonly exportTo: Visibility;
}

interface PreparedVirtualServices {
  /** By `namespace/name` of a Gateway, or `mesh`; oldest first. A VirtualService that several gateways name stands under each. */
  readonly byGateway: ReadonlyMap<string, readonly PreparedVirtualService[]>;
}

/**
 * Those that a client in `namespace` sees, the one that decides first: what only its own namespace sees, what is exported to it by name, routes
 * of the Kubernetes Gateway API of its own namespace, and everybody else's. Each group is oldest first, as in Istio.
 */
export function visibleVirtualServices(all: readonly PreparedVirtualService[], namespace: string): readonly ResourceOf<'VirtualService'>[] {
  return visible.get([all, namespace], NO_INPUTS, () => seenFrom(namespace, all));
}

function seenFrom(namespace: string, all: readonly PreparedVirtualService[]): readonly ResourceOf<'VirtualService'>[] {
  const groups: ResourceOf<'VirtualService'>[][] = [[], [], [], []];
  for (const { resource, exportTo } of all) {
    const own = resource.metadata.namespace === namespace;
    if (!isVisible(exportTo, resource.metadata.namespace, namespace)) continue;
    const group = exportTo.has('*') ? (own && resource.derivedFrom ? 2 : 3) : own ? 0 : 1;
    groups[group]!.push(resource);
  }
  return groups.flat();
}

const visible = new Memo<readonly ResourceOf<'VirtualService'>[]>();
const indexes = new Memo<PreparedVirtualServices>();
const prepared = new Memo<PreparedVirtualService>();
const delegating = new Memo<PreparedVirtualService>();

/** Every proxy needs the same: kept for as long as the list and the configuration are, and each object for as long as it is itself. */
export function preparedVirtualServices({ snapshot, config }: Mesh): PreparedVirtualServices {
  const all = snapshot.list('VirtualService');
  return indexes.get([config, all], NO_INPUTS, () => index(all, config));
}

function index(resources: readonly ResourceOf<'VirtualService'>[], config: Mesh['config']): PreparedVirtualServices {
  const all = resources.map((resource) =>
    prepared.get([config, resource], NO_INPUTS, () => ({
      resource: withFullNames(resource),
      exportTo: visibilityOf(resource.spec.exportTo, config.defaultVirtualServiceExportTo),
    })),
  );
  // Without hosts a VirtualService is a delegate: it does nothing of its own.
  const delegates = new Map(
    all
      .filter(({ resource }) => resource.spec.hosts.length === 0)
      .map((each) => [`${each.resource.metadata.namespace}/${each.resource.metadata.name}`, each]),
  );
  const byGateway = new Map<string, PreparedVirtualService[]>();
  for (const each of all) {
    if (each.resource.spec.hosts.length === 0) continue;
    const whole = withDelegates(each, delegates);
    for (const gateway of gatewaysOf(whole.resource.spec)) {
      const list = byGateway.get(gateway);
      if (list) list.push(whole);
      else byGateway.set(gateway, [whole]);
    }
  }
  return { byGateway };
}

/** The object's gateways and those that only a match names do not count: Istio looks at the list of the object alone. */
function gatewaysOf(spec: VirtualService): ReadonlySet<string> {
  return new Set(spec.gateways);
}

function withDelegates(root: PreparedVirtualService, delegates: ReadonlyMap<string, PreparedVirtualService>): PreparedVirtualService {
  const { resource } = root;
  if (!resource.spec.http.some(({ delegate }) => delegate)) return root;
  const own = resource.metadata.namespace;
  const named = resource.spec.http.map(({ delegate }) => {
    const found = delegate && delegates.get(`${delegate.namespace || own}/${delegate.name}`);
    return found && isVisible(found.exportTo, found.resource.metadata.namespace, own) ? found.resource : undefined;
  });
  return delegating.get([root], named, () => {
    const http = resource.spec.http.flatMap((rule, at): readonly HttpRoute[] =>
      rule.delegate ? mergeDelegate(rule, named[at]?.spec.http ?? []) : [rule],
    );
    return { resource: { ...resource, spec: { ...resource.spec, http } }, exportTo: root.exportTo };
  });
}

function withFullNames(resource: ResourceOf<'VirtualService'>): ResourceOf<'VirtualService'> {
  const { namespace } = resource.metadata;
  const { spec } = resource;
  const host = (name: string) => fullHostname(name.toLowerCase(), namespace);
  const gateways = (names: readonly string[]) =>
    names.map((name) => (name === MESH_GATEWAY || name.includes('/') ? name : `${namespace}/${name}`));
  const to = (destination: Destination): Destination => ({ ...destination, host: host(destination.host) });
  const route = <R extends { readonly destination: Destination }>(each: R): R => ({ ...each, destination: to(each.destination) });
  const matching = <M extends { readonly gateways: readonly string[] }>(match: M): M => ({ ...match, gateways: gateways(match.gateways) });
  const full: VirtualService = {
    ...spec,
    hosts: spec.hosts.map(host),
    gateways: gateways(spec.gateways),
    http: spec.http.map((rule) => ({
      ...rule,
      match: rule.match.map((match): HttpMatchRequest => matching(match)),
      route: rule.route.map(route),
      mirrors: rule.mirrors.map(route),
      ...(rule.mirror ? { mirror: to(rule.mirror) } : {}),
    })),
    tls: spec.tls.map((rule) => ({ ...rule, match: rule.match.map(matching), route: rule.route.map(route) })),
    tcp: spec.tcp.map((rule) => ({ ...rule, match: rule.match.map(matching), route: rule.route.map(route) })),
  };
  return { ...resource, spec: full };
}
