/** VirtualServices as routing reads them: short names made full, delegates merged into their roots, indexed by gateway. */
import type { Destination, HttpRoute, ResourceOf } from '../api/index.ts';
import { fullHostname } from '../lib/hostname.ts';
import { MemberResults } from '../lib/member-results.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import { keepList } from '../lib/same.ts';
import { mergeDelegate } from '../registry/delegates.ts';
import type { Visibility } from '../registry/model.ts';
import { isVisible, visibilityOf } from '../registry/visibility.ts';
import type { Mesh } from './model.ts';
import { MESH_GATEWAY } from './names.ts';

interface PreparedVirtualService {
  readonly resource: ResourceOf<'VirtualService'>;
  readonly exportTo: Visibility;
  /** Whether a rule of it delegates. */
  readonly delegates: boolean;
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
const prepared = new Memo<MemberResults<ResourceOf<'VirtualService'>, PreparedVirtualService>>();
const delegating = new Memo<PreparedVirtualService>();

/** Every proxy needs the same: kept for as long as the list and the configuration are, and each object for as long as it is itself. */
export function preparedVirtualServices({ snapshot, config }: Mesh): PreparedVirtualServices {
  const all = snapshot.list('VirtualService');
  return indexes.get([config, all], NO_INPUTS, () => index(all, config));
}

function index(resources: readonly ResourceOf<'VirtualService'>[], config: Mesh['config']): PreparedVirtualServices {
  const members = prepared.get([config], NO_INPUTS, () => new MemberResults());
  const all = members.of(resources, (resource) => ({
    resource: withFullNames(resource),
    exportTo: visibilityOf(resource.spec.exportTo, config.defaultVirtualServiceExportTo),
    delegates: resource.spec.http.some(({ delegate }) => delegate),
  }));
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
    // The object's gateways and those that only a match names do not count: Istio looks at the list of the object alone.
    for (const [place, gateway] of whole.resource.spec.gateways.entries()) {
      if (whole.resource.spec.gateways.indexOf(gateway) < place) continue;
      const list = byGateway.get(gateway);
      if (list) list.push(whole);
      else byGateway.set(gateway, [whole]);
    }
  }
  return { byGateway };
}

function withDelegates(root: PreparedVirtualService, delegates: ReadonlyMap<string, PreparedVirtualService>): PreparedVirtualService {
  const { resource } = root;
  if (!root.delegates) return root;
  const own = resource.metadata.namespace;
  const named = resource.spec.http.map(({ delegate }) => {
    const found = delegate && delegates.get(`${delegate.namespace || own}/${delegate.name}`);
    return found && isVisible(found.exportTo, found.resource.metadata.namespace, own) ? found.resource : undefined;
  });
  return delegating.get([root], named, () => {
    const http = resource.spec.http.flatMap((rule, at): readonly HttpRoute[] =>
      rule.delegate ? mergeDelegate(rule, named[at]?.spec.http ?? []) : [rule],
    );
    return { resource: { ...resource, spec: { ...resource.spec, http } }, exportTo: root.exportTo, delegates: true };
  });
}

/** What is full already stays the same object, which most is. */
function withFullNames(resource: ResourceOf<'VirtualService'>): ResourceOf<'VirtualService'> {
  const { namespace } = resource.metadata;
  const { spec } = resource;
  const host = (name: string) => fullHostname(name.toLowerCase(), namespace);
  const gateway = (name: string) => (name === MESH_GATEWAY || name.includes('/') ? name : `${namespace}/${name}`);
  const to = (destination: Destination): Destination => changed(destination, { host: host(destination.host) });
  const route = <R extends { readonly destination: Destination }>(each: R): R => changed(each, { destination: to(each.destination) });
  const matching = <M extends { readonly gateways: readonly string[] }>(match: M): M =>
    changed(match, { gateways: mapped(match.gateways, gateway) });
  const full = changed(spec, {
    hosts: mapped(spec.hosts, host),
    gateways: mapped(spec.gateways, gateway),
    http: mapped(spec.http, (rule) =>
      changed(rule, {
        match: mapped(rule.match, matching),
        route: mapped(rule.route, route),
        mirrors: mapped(rule.mirrors, route),
        ...(rule.mirror ? { mirror: to(rule.mirror) } : {}),
      }),
    ),
    tls: mapped(spec.tls, (rule) => changed(rule, { match: mapped(rule.match, matching), route: mapped(rule.route, route) })),
    tcp: mapped(spec.tcp, (rule) => changed(rule, { match: mapped(rule.match, matching), route: mapped(rule.route, route) })),
  });
  return changed(resource, { spec: full });
}

/** The object with these fields; itself if it has them. */
function changed<F extends object, T extends F>(object: T, fields: F): T {
  const keys = Object.keys(fields) as (keyof F)[];
  return keys.every((key) => object[key] === fields[key]) ? object : { ...object, ...fields };
}

function mapped<T>(list: readonly T[], change: (item: T) => T): readonly T[] {
  return keepList(list, list.map(change));
}
