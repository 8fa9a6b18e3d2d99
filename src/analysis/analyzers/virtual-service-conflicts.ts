import type { ResourceOf } from '../../api/index.ts';
import { resourceText } from '../../api/resource.ts';
import { fullHostname } from '../../lib/hostname.ts';
import { matchesLabels } from '../../lib/labels.ts';
import { isVisible, visibilityOf } from '../../registry/visibility.ts';
import { workloadsOf } from '../callers.ts';
import type { Context, Selectable } from '../context.ts';
import { hasRules } from '../egress-model.ts';
import { gatewayPods } from './gateway.ts';
import { findGateway } from './virtual-service-gateways.ts';

/** A VirtualService's claim to a host, and the namespaces that see it. */
interface Claim {
  readonly virtualService: ResourceOf<'VirtualService'>;
  readonly index: number;
  readonly sees: ReadonlySet<string>;
}

/** IST0109: VirtualServices on the mesh that claim one host where some namespace sees both. */
export function conflictingMeshHosts(context: Context): void {
  const claims = new Map<string, Claim[]>();
  for (const virtualService of context.of('VirtualService')) {
    const { gateways, hosts, exportTo, http } = virtualService.spec;
    // Several TLSRoutes or TCPRoutes of a host are all looked at.
    if (!gateways.includes('mesh') || (virtualService.derivedFrom && http.length === 0) || !hasRules(context, virtualService)) continue;
    const { namespace } = virtualService.metadata;
    const visibility = visibilityOf(exportTo, context.mesh.defaultVirtualServiceExportTo);
    const sees = visibility.has('.') ? new Set([...visibility].map((name) => (name === '.' ? namespace : name))) : visibility;
    for (const [index, host] of hosts.entries()) {
      const name = fullHostname(host, namespace).toLowerCase();
      push(claims, name, { virtualService, index, sees });
    }
  }
  for (const [host, list] of claims) if (list.length > 1) reportClaims(context, host, list);
}

/** So many of the others are named; with very many claims their names would be the square of it. */
const NAMED = 5;

/** `list`: all who claim the host, the oldest first. */
function reportClaims(context: Context, host: string, list: readonly Claim[]): void {
  const seenIn = new Map<string, Claim[]>();
  for (const claim of list) for (const name of claim.sees) push(seenIn, name, claim);
  for (const claim of list) {
    const rivals = claim.sees.has('*') ? list : [...new Set(['*', ...claim.sees].flatMap((name) => seenIn.get(name) ?? []))];
    // Of routes of the Kubernetes Gateway API each namespace follows its own: see `losingRoutes`.
    const others = rivals.filter(
      ({ virtualService }) => virtualService !== claim.virtualService && !(virtualService.derivedFrom && claim.virtualService.derivedFrom),
    );
    if (others.length === 0) continue;
    const names = [...new Set(others.slice(0, NAMED).map(({ virtualService }) => nameOf(virtualService)))].sort();
    const more = others.length > NAMED ? ` and ${others.length - NAMED} more` : '';
    const oldest = [claim, ...others].reduce((a, b) => (b.virtualService.order < a.virtualService.order ? b : a));
    context.report(
      'IST0109',
      claim.virtualService,
      ['spec', 'hosts', claim.index],
      `VirtualServices ${names.join(', ')}${more} on the mesh claim the host ${host} as well: sidecars follow the oldest, ${nameOf(oldest.virtualService)}, and ignore the rules of the others. Merge them into one VirtualService, or keep them apart by exportTo.`,
    );
  }
}

function push(lists: Map<string, Claim[]>, name: string, claim: Claim): void {
  const list = lists.get(name);
  if (list) list.push(claim);
  else lists.set(name, [claim]);
}

function nameOf({ metadata }: ResourceOf<'VirtualService'>): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/**
 * IST0109 for routes of the Kubernetes Gateway API: each namespace follows its own first, and else the oldest that it sees. What loses is a route that was
 * attached to the very declaration of the host that a workload sees, where an older one of another namespace is followed.
 */
export function losingRoutes(context: Context): void {
  const routes = Map.groupBy(
    context.of('VirtualService').filter(({ derivedFrom, spec }) => derivedFrom && spec.gateways.includes('mesh')),
    ({ spec }) => spec.hosts[0] ?? '',
  );
  for (const [host, list] of routes) {
    if (new Set(list.map(({ metadata }) => metadata.namespace)).size < 2) continue;
    for (const caller of namespacesThatCall(context, host)) {
      const service = context.registry.lookup(host, caller);
      if (!service) continue;
      const seen = list.filter(({ spec, metadata }) =>
        isVisible(visibilityOf(spec.exportTo, context.mesh.defaultVirtualServiceExportTo), metadata.namespace, caller),
      );
      const followed = seen.find(({ metadata }) => metadata.namespace === caller) ?? seen[0];
      const lost = seen.find(({ metadata }) => metadata.namespace === service.namespace);
      if (!followed || !lost || followed.metadata.namespace === service.namespace) continue;
      context.report(
        'IST0109',
        lost,
        ['spec', 'hosts', 0],
        `Workloads in ${caller} see ${host} by ${resourceText(service.resource)}, and yet follow ${resourceText(followed)}, which is older and is shown everywhere, in place of this route: their calls go where that one leads. Put a route for ${host} into ${caller} itself (parentRefs with namespace: ${service.namespace}), or declare the host in one namespace.`,
      );
    }
  }
}

/** Namespaces of workloads, and where the files have none those to which a declaration of the host is shown by name. */
function namespacesThatCall(context: Context, host: string): string[] {
  const workloads = workloadsOf(context);
  const services = context.services.at(host);
  const names =
    workloads.length > 0
      ? workloads.map(({ namespace }) => namespace)
      : services.flatMap((service) => [...service.exportTo].map((name) => (name === '.' ? service.namespace : name)));
  return [...new Set(names)].filter((name) => name !== '*' && name !== '~').sort();
}

/** IST0149: a route by JWT claims at a gateway that no RequestAuthentication covers. */
export function jwtClaimRoutes(context: Context): void {
  for (const virtualService of context.of('VirtualService')) {
    const { namespace } = virtualService.metadata;
    for (const [i, route] of virtualService.spec.http.entries()) {
      for (const [j, match] of route.match.entries()) {
        const claim = [...Object.keys(match.headers), ...Object.keys(match.withoutHeaders)].find((name) =>
          name.startsWith('@request.auth.claims'),
        );
        if (claim === undefined) continue;
        const names = (match.gateways.length > 0 ? match.gateways : virtualService.spec.gateways).filter((name) => name !== 'mesh');
        for (const name of names) {
          const gateway = findGateway(context, name, namespace);
          const pods = gateway ? gatewayPods(context, gateway) : [];
          const uncovered = pods.find(
            (pod) => !context.of('RequestAuthentication').some((policy) => policy.spec.jwtRules.length > 0 && covers(context, policy, pod)),
          );
          if (!uncovered) continue;
          context.report(
            'IST0149',
            virtualService,
            ['spec', 'http', i, 'match', j, 'headers', claim],
            `This route matches the JWT claim ${claim}, but no RequestAuthentication holds for the pods of gateway ${name}, so no claim is ever known and the route never matches. Add a RequestAuthentication that selects them.`,
          );
        }
      }
    }
  }
}

function covers(context: Context, policy: ResourceOf<'RequestAuthentication'>, pod: Selectable): boolean {
  const { namespace } = policy.metadata;
  if (namespace !== pod.namespace && namespace !== context.mesh.rootNamespace) return false;
  return matchesLabels(policy.spec.selector?.matchLabels ?? {}, pod.labels);
}
