import type { ResourceOf } from '../../api/index.ts';
import type { PathStep } from '../../api/resource.ts';
import { fullHostname } from '../../lib/hostname.ts';
import { isVisible, visibilityOf } from '../../registry/visibility.ts';
import type { Context, Selectable } from '../context.ts';
import { type AnyRule, onMesh, type VirtualService } from '../egress-model.ts';
import { gatewayPods } from './gateway.ts';
import { whereRulesHold } from './gateway-routes.ts';
import { howCallsEnd } from './virtual-service-destinations.ts';
import { findGateway } from './virtual-service-gateways.ts';

/** SP1033: a route names a subset of a DestinationRule that does not apply to the proxies that follow the route, so they have no cluster for it. */
export function unseenSubsets(context: Context): void {
  for (const virtualService of context.of('VirtualService')) {
    for (const kind of ['http', 'tls', 'tcp'] as const) {
      const rules: readonly AnyRule[] = virtualService.spec[kind];
      for (const [i, rule] of rules.entries()) {
        if (!rule.route.some(({ destination }) => destination.subset)) continue;
        const callers = callersOf(context, virtualService, rule);
        for (const j of rule.route.keys())
          checkSubset(context, virtualService, rule, ['spec', kind, i, 'route', j, 'destination', 'subset'], callers);
      }
    }
  }
}

function checkSubset(
  context: Context,
  virtualService: VirtualService,
  rule: AnyRule,
  path: readonly PathStep[],
  callers: readonly Selectable[],
): void {
  const { host: written, subset } = rule.route[path[4] as number]!.destination;
  if (!subset) return;
  const host = fullHostname(written, virtualService.metadata.namespace).toLowerCase();
  const defines = ({ spec }: ResourceOf<'DestinationRule'>) => spec.subsets.some(({ name }) => name === subset);
  // One that nothing defines is another finding (IST0101).
  const defined = context.destinationRules.covering(host).find(defines);
  if (!defined) return;
  const blind = callers.filter((caller) => {
    const service = context.registry.lookup(host, caller.namespace);
    const followed = service && context.ruleFor(caller, service);
    return service && !(followed && defines(followed));
  });
  // A pattern that is written for its own namespace fails in others, and they may not mean to use it: a hint.
  const works = blind.length < callers.length && !blind.some((caller) => caller.namespace === virtualService.metadata.namespace);
  if (blind.length === 0 || (works && !context.hints)) return;
  const service = context.registry.lookup(host, blind[0]!.namespace)!;
  const namespaces = [...new Set(blind.map(({ namespace }) => namespace))].sort().join(', ');
  const { namespace, name } = defined.metadata;
  context.report(
    'SP1033',
    virtualService,
    path,
    `Subset ${subset} of ${written} is defined by DestinationRule ${namespace}/${name}, which does not hold for callers in ${namespaces}: their ${howCallsEnd(virtualService, path, 'NC')}. ${whereRulesHold(service)} Move it to ${service.namespace}, or to where the callers are.`,
  );
}

/** Who follows a rule: workloads that see the VirtualService, and the pods of its Gateways. */
function callersOf(context: Context, virtualService: VirtualService, { match }: AnyRule): Selectable[] {
  const { gateways, exportTo } = virtualService.spec;
  const { namespace } = virtualService.metadata;
  const holdsAt = (name: string) => match.length === 0 || match.some((each) => each.gateways.length === 0 || each.gateways.includes(name));
  const atGateways = gateways.flatMap((name) => {
    const gateway = name === 'mesh' || !holdsAt(name) ? undefined : findGateway(context, name, namespace);
    return gateway ? gatewayPods(context, gateway) : [];
  });
  if (!onMesh(virtualService) || !holdsAt('mesh')) return atGateways;
  const visibility = visibilityOf(exportTo, context.mesh.defaultVirtualServiceExportTo);
  const served = new Set(context.of('Gateway').flatMap((gateway) => gatewayPods(context, gateway)));
  // Those of the root namespace are Istio's own.
  const isCaller = (pod: Selectable) => !served.has(pod) && pod.namespace !== context.mesh.rootNamespace;
  const workloads = context.pods.filter((pod) => isCaller(pod) && isVisible(visibility, namespace, pod.namespace));
  // Files without workloads: those of its own namespace, if there are any.
  const own: Selectable = { namespace, labels: {}, resource: virtualService };
  return [...atGateways, ...(context.pods.some(isCaller) ? workloads : [own])];
}
