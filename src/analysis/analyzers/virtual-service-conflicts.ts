import type { ResourceOf } from '../../api/index.ts';
import { fullHostname } from '../../lib/hostname.ts';
import { visibilityOf } from '../../registry/visibility.ts';
import { type Context, matchesLabels, type Selectable } from '../context.ts';
import { gatewayPods } from './gateway.ts';
import { findGateway } from './virtual-service-gateways.ts';

/** IST0109: VirtualServices on the mesh that claim one host where some namespace sees both. */
export function conflictingMeshHosts(context: Context): void {
  const claims = new Map<string, { virtualService: ResourceOf<'VirtualService'>; index: number; sees: ReadonlySet<string> }[]>();
  for (const virtualService of context.of('VirtualService')) {
    const { gateways, hosts, exportTo } = virtualService.spec;
    if (!gateways.includes('mesh')) continue;
    const { namespace } = virtualService.metadata;
    const visibility = visibilityOf(exportTo, context.mesh.defaultVirtualServiceExportTo);
    const sees = new Set([...visibility].map((name) => (name === '.' ? namespace : name)));
    for (const [index, host] of hosts.entries()) {
      const name = fullHostname(host, namespace).toLowerCase();
      const list = claims.get(name) ?? [];
      list.push({ virtualService, index, sees });
      claims.set(name, list);
    }
  }
  for (const [host, list] of claims) {
    for (const claim of list) {
      const others = list.filter(
        (other) =>
          other.virtualService !== claim.virtualService &&
          (claim.sees.has('*') || other.sees.has('*') || [...claim.sees].some((name) => other.sees.has(name))),
      );
      if (others.length === 0) continue;
      const names = [...new Set(others.map(({ virtualService: { metadata } }) => `${metadata.namespace}/${metadata.name}`))].sort();
      const oldest = [claim, ...others].reduce((a, b) => (b.virtualService.order < a.virtualService.order ? b : a));
      const { metadata } = oldest.virtualService;
      context.report(
        'IST0109',
        claim.virtualService,
        ['spec', 'hosts', claim.index],
        `VirtualServices ${names.join(', ')} on the mesh claim the host ${host} as well: sidecars follow the oldest, ${metadata.namespace}/${metadata.name}, and ignore the rules of the others. Merge them into one VirtualService, or keep them apart by exportTo.`,
      );
    }
  }
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
