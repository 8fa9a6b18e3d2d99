import type { ResourceOf } from '../../api/index.ts';
import type { Resource } from '../../api/resource.ts';
import { fullHostname } from '../../lib/hostname.ts';
import type { Context } from '../context.ts';

/** IST0171: objects whose own status reports a failed condition. */
export function conditions(context: Context): void {
  for (const resource of context.snapshot.all() as readonly Resource[]) {
    const list = (resource.status as { conditions?: unknown } | undefined)?.conditions;
    if (!Array.isArray(list) || !/\.istio\.io\//.test(resource.apiVersion)) continue;
    for (const [i, condition] of list.entries()) {
      if (condition?.status !== 'False') continue;
      context.report(
        'IST0171',
        resource,
        ['status', 'conditions', i],
        `The object's status says that ${condition.type} is False${condition.reason ? ` (${condition.reason})` : ''}${condition.message ? `: ${condition.message}` : '.'}`,
      );
    }
  }
}

/** IST0166: policies that select a Kubernetes Gateway's pods by its label, which Istio ignores there. */
export function kubernetesGatewaySelectors(context: Context): void {
  const policies = [...context.of('AuthorizationPolicy'), ...context.of('RequestAuthentication'), ...context.of('Telemetry')];
  for (const policy of policies) {
    const name = policy.spec.selector?.matchLabels['gateway.networking.k8s.io/gateway-name'];
    if (name === undefined) continue;
    context.report(
      'IST0166',
      policy,
      ['spec', 'selector'],
      `Ineffective selector: pods of the Kubernetes Gateway ${name} are not reached by labels, so this ${policy.kind} has no effect. Use targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: ${name}}].`,
    );
  }
}

/** IST0140: a gateway's route to a host whose subsets a mesh VirtualService chooses, which the gateway does not ask. */
export function ingressBypassesSubsets(context: Context): void {
  const meshRules = new Map<string, ResourceOf<'VirtualService'>>();
  for (const virtualService of context.of('VirtualService')) {
    const { gateways, hosts, http } = virtualService.spec;
    if (!gateways.includes('mesh') || !http.some((route) => route.route.some((target) => target.destination.subset))) continue;
    for (const host of hosts) meshRules.set(fullHostname(host, virtualService.metadata.namespace).toLowerCase(), virtualService);
  }
  for (const virtualService of context.of('VirtualService')) {
    if (virtualService.spec.gateways.includes('mesh')) continue;
    for (const [i, route] of virtualService.spec.http.entries()) {
      for (const [j, { destination }] of route.route.entries()) {
        if (destination.subset) continue;
        const host = fullHostname(destination.host, virtualService.metadata.namespace).toLowerCase();
        const rule = meshRules.get(host);
        if (!rule) continue;
        const { namespace, name } = rule.metadata;
        context.report(
          'IST0140',
          virtualService,
          ['spec', 'http', i, 'route', j, 'destination', 'host'],
          `VirtualService ${namespace}/${name} chooses subsets of ${destination.host} for sidecars, and this route on a gateway goes past it to all endpoints. Name the subset here, or bind ${namespace}/${name} to the gateway.`,
        );
      }
    }
  }
}

/** What to write in place of a deprecated field. */
const REPLACED: ReadonlyMap<unknown, string> = new Map([
  ['mirrorPercent', 'mirrorPercentage'],
  ['mirror_percent', 'mirrorPercentage'],
  ['allowOrigin', 'allowOrigins'],
  ['percent', 'percentage'],
  ['minimumRingSize', 'ringHash.minimumRingSize'],
  ['warmupDurationSecs', 'warmup.duration'],
  ['consecutiveErrors', 'consecutiveGatewayErrors or consecutive5xxErrors'],
  ['jwks_uri', 'jwksUri'],
]);

/** IST0002: fields that Istio has deprecated or ignores. */
export function deprecatedFields(context: Context): void {
  for (const resource of context.snapshot.all() as readonly Resource[]) {
    for (const path of resource.deprecated ?? []) {
      const instead = REPLACED.get(path.at(-1));
      if (instead) context.report('IST0002', resource, path, `The field ${String(path.at(-1))} is deprecated. Use ${instead}.`);
    }
  }
}
