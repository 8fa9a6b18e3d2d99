import { GATEWAY_NAME_LABEL } from '../../api/gateway-api/common.ts';
import type { ResourceOf } from '../../api/index.ts';
import type { PathStep, Resource } from '../../api/resource.ts';
import { fullHostname } from '../../lib/hostname.ts';
import { table } from '../../lib/table.ts';
import type { Context } from '../context.ts';

/** Conditions whose status False means a failure, for kinds that are not Istio's own. */
const CONDITIONS: Readonly<Record<string, RegExp>> = table({
  Service: /^istio\.io\/WaypointBound$/,
  KubernetesGateway: /^(?:Accepted|Programmed|ResolvedRefs)$/,
  HTTPRoute: /^(?:Accepted|Programmed|ResolvedRefs)$/,
  GRPCRoute: /^(?:Accepted|Programmed|ResolvedRefs)$/,
  TLSRoute: /^(?:Accepted|Programmed|ResolvedRefs)$/,
  TCPRoute: /^(?:Accepted|Programmed|ResolvedRefs)$/,
});

interface Status {
  readonly conditions?: unknown;
  /** Of routes: what each parent says. */
  readonly parents?: unknown;
}

/** IST0171: objects whose own status reports a failed condition. */
export function conditions(context: Context): void {
  for (const resource of context.snapshot.all() as readonly Resource[]) {
    const named = CONDITIONS[resource.kind];
    // Those that are made of others have theirs from them.
    if (!resource.status || resource.derivedFrom || (!named && !/\.istio\.io\//.test(resource.apiVersion))) continue;
    const status = resource.status as Status;
    reportConditions(context, resource, status.conditions, ['status', 'conditions'], named);
    if (!Array.isArray(status.parents)) continue;
    for (const [i, parent] of status.parents.entries())
      reportConditions(context, resource, parent?.conditions, ['status', 'parents', i, 'conditions'], named);
  }
}

function reportConditions(context: Context, resource: Resource, list: unknown, path: readonly PathStep[], named: RegExp | undefined): void {
  if (!Array.isArray(list)) return;
  for (const [i, condition] of list.entries()) {
    const { type, status, reason, message } = condition ?? {};
    const partly = resource.kind === 'AuthorizationPolicy' && type === 'WaypointAccepted' && reason === 'PartiallyInvalid';
    if (!(status === 'False' && (!named || named.test(type))) && !partly) continue;
    context.report(
      'IST0171',
      resource,
      [...path, i],
      `The control plane says of this object that ${type} is ${status}${reason ? ` (${reason})` : ''}, so it is not in force as it stands${message ? `: ${String(message).replace(/\.?$/, '.')}` : '.'} Mend what that names; the status follows by itself.`,
    );
  }
}

/** IST0166: policies that select a Kubernetes Gateway's pods by labels, which Istio ignores there. */
export function kubernetesGatewaySelectors(context: Context): void {
  const policies = [...context.of('AuthorizationPolicy'), ...context.of('RequestAuthentication'), ...context.of('Telemetry')];
  for (const policy of policies) {
    const { selector, targetRef, targetRefs } = policy.spec;
    if (!selector || targetRef || targetRefs.length > 0) continue;
    for (const name of gatewaysOf(context, policy.metadata.namespace, selector.matchLabels)) {
      context.report(
        'IST0166',
        policy,
        ['spec', 'selector'],
        `Ineffective selector: pods of the Kubernetes Gateway ${name} are not reached by labels, so this ${policy.kind} has no effect on them. Use targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: ${name}}].`,
      );
    }
  }
}

/** Kubernetes Gateways whose pods a selector of the namespace would pick, and the one that it names. */
function gatewaysOf(context: Context, namespace: string, selector: Readonly<Record<string, string>>): Set<string> {
  const named = selector[GATEWAY_NAME_LABEL];
  const picked = context.selectIn(namespace, selector).filter(({ resource }) => resource.kind === 'Pod');
  return new Set([named, ...picked.map(({ labels }) => labels[GATEWAY_NAME_LABEL])].filter((name) => name !== undefined));
}

/** IST0140: a gateway's route to a host whose subsets a mesh VirtualService chooses, which the gateway does not ask. */
export function ingressBypassesSubsets(context: Context): void {
  const meshRules = new Map<string, ResourceOf<'VirtualService'>>();
  for (const virtualService of context.of('VirtualService')) {
    const { gateways, hosts, http } = virtualService.spec;
    if (!gateways.includes('mesh')) continue;
    const full = (host: string) => fullHostname(host, virtualService.metadata.namespace).toLowerCase();
    const chosen = http.flatMap((rule) => rule.route.flatMap(({ destination }) => (destination.subset ? [full(destination.host)] : [])));
    // Subsets of a gateway that it leads to are none of the host's.
    for (const host of hosts) if (chosen.includes(full(host))) meshRules.set(full(host), virtualService);
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

const REMOVED_KINDS = /^(?:clusterrbacconfigs|rbacconfigs|serviceroles|servicerolebindings)\.rbac\.istio\.io$/;

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

/** IST0002: fields that Istio has deprecated or ignores, and kinds that it has removed. */
export function deprecatedFields(context: Context): void {
  lightstep(context);
  for (const definition of context.of('CustomResourceDefinition')) {
    if (!REMOVED_KINDS.test(definition.metadata.name)) continue;
    context.report(
      'IST0002',
      definition,
      ['metadata', 'name'],
      `Istio has removed the kind ${definition.metadata.name}: its objects do nothing, and what they were to forbid is allowed. Write AuthorizationPolicies, and remove the definition.`,
    );
  }
  for (const resource of context.snapshot.all() as readonly Resource[]) {
    for (const path of resource.deprecated ?? []) {
      const instead = REPLACED.get(path.at(-1));
      if (instead) context.report('IST0002', resource, path, `The field ${String(path.at(-1))} is deprecated. Use ${instead}.`);
    }
  }
}

/** The tracing provider that Istio has given up, where the files hold the MeshConfig that names it. */
function lightstep(context: Context): void {
  const map = context.of('ConfigMap').find(({ metadata, spec }) => metadata.name === 'istio' && 'mesh' in spec.data);
  if (!map) return;
  const { extensionProviders, defaultConfig } = context.mesh;
  const named = extensionProviders.find((provider) => provider.lightstep);
  if (!named && !defaultConfig?.tracing?.lightstep) return;
  context.report(
    'IST0002',
    map,
    ['data', 'mesh'],
    `${named ? `The provider ${named.name} is of type lightstep` : 'defaultConfig.tracing is of type lightstep'}, which Istio has deprecated: spans stop being reported when it is removed. Use an extensionProvider of type opentelemetry, which the same service takes.`,
  );
}
