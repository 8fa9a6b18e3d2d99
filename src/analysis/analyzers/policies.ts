import type { AuthorizationRule } from '../../api/authorization-policy.ts';
import type { Pod, ResourceOf } from '../../api/index.ts';
import { withoutSidecar } from '../../api/injection.ts';
import { once } from '../../lib/once.ts';
import { type Context, formatSelector, type Selectable, selectedBy } from '../context.ts';
import { gatewayPods } from './gateway.ts';

type Policy = ResourceOf<'AuthorizationPolicy'>;

/** IST0127, IST0101 (namespace): AuthorizationPolicies that select nothing or name namespaces that do not exist. */
export function authorizationPolicies(context: Context): void {
  const namespaces = new Set(context.of('Namespace').map((namespace) => namespace.metadata.name));
  const ofGateways = once(() => new Set(context.of('Gateway').flatMap((gateway) => gatewayPods(context, gateway))));
  for (const policy of context.of('AuthorizationPolicy')) {
    withoutWorkloads(context, policy);
    outgoingHosts(context, policy, ofGateways);
    // Of files that declare no namespace nobody knows which there are.
    if (namespaces.size > 0) unknownNamespaces(context, policy, namespaces);
  }
}

/** IST0127 */
function withoutWorkloads(context: Context, policy: Policy): void {
  const { selector, targetRef, targetRefs } = policy.spec;
  if (targetRef || targetRefs.length > 0) return;
  const labels = selector?.matchLabels ?? {};
  const found = selectedBy(context, policy);
  if (!found.every((workload) => isOutOfMesh(context, workload))) return;
  const what = Object.keys(labels).length > 0 ? `labels ${formatSelector(labels)}` : `namespace ${policy.metadata.namespace}`;
  context.report(
    'IST0127',
    policy,
    ['spec', 'selector'],
    found.length > 0
      ? `No matching workloads for this policy: those that are found by its ${what} are kept from having a sidecar, and without one nothing enforces the policy. Have them injected, or remove the policy.`
      : `No matching workloads for this policy: none is found by its ${what}, so it protects nothing. Correct the selector, or deploy the workload.`,
  );
}

/** IST0101 */
function unknownNamespaces(context: Context, policy: Policy, namespaces: ReadonlySet<string>): void {
  for (const { field, name, path } of namespacesIn(policy.spec.rules)) {
    if (matchesAny(name, namespaces)) continue;
    const effect = field === 'namespaces' ? 'This source matches no caller by that name' : 'It leaves nobody out of this source';
    const message = `Referenced namespace not found: "${name}". ${effect}. Correct the name, or create the namespace.`;
    context.report('IST0101', policy, ['spec', 'rules', ...path], message);
  }
}

function* namespacesIn(rules: readonly AuthorizationRule[]) {
  for (const [i, { from }] of rules.entries()) {
    for (const [j, { source }] of from.entries()) {
      for (const field of ['namespaces', 'notNamespaces'] as const)
        for (const [k, name] of (source?.[field] ?? []).entries()) yield { field, name, path: [i, 'from', j, 'source', field, k] };
    }
  }
}

/** IST0167: policies of workloads that name hosts outside the mesh: they are asked of calls that come in, never of those that go out. */
function outgoingHosts(context: Context, policy: Policy, ofGateways: () => ReadonlySet<Selectable>): void {
  const { targetRef, targetRefs, rules, action } = policy.spec;
  if (targetRef || targetRefs.length > 0) return;
  // At a gateway calls to the outside come in, and their host is looked at.
  if (selectedBy(context, policy).some((pod) => ofGateways().has(pod))) return;
  for (const [i, rule] of rules.entries()) {
    for (const [j, { operation }] of rule.to.entries()) {
      const hosts = (operation?.hosts ?? []).map((host) => host.toLowerCase());
      const outside = hosts.filter((host) => {
        const services = context.services.overlapping(host);
        return services.length > 0 && services.every(({ meshExternal }) => meshExternal);
      });
      if (outside.length === 0 || outside.length < hosts.length) continue;
      const instead =
        action === 'ALLOW' ? 'It allows nothing that comes in, and thereby refuses it all' : 'It keeps nobody from calling them';
      context.report(
        'IST0167',
        policy,
        ['spec', 'rules', i, 'to', j, 'operation', 'hosts'],
        `Ineffective: ${outside.join(', ')} ${outside.length > 1 ? 'are' : 'is'} outside the mesh, and a policy is asked of calls that come to a workload, not of those that leave it. ${instead}. To restrict calls to the outside lead them through an egress gateway and select its pods, or do not show the ServiceEntry to those who may not call (exportTo, Sidecar, with REGISTRY_ONLY).`,
      );
    }
  }
}

/** Whether the files say that the workload gets no proxy: then no policy holds for it. */
export function isOutOfMesh(context: Context, { namespace, labels, resource }: Selectable): boolean {
  const { annotations } = resource.metadata;
  const pod = resource.kind === 'Pod' ? (resource.spec as Pod) : (resource.spec as ResourceOf<'Deployment'>['spec']).template.spec;
  if (annotations['ambient.istio.io/redirection'] === 'enabled') return false;
  return withoutSidecar({ pod, labels, annotations, namespace: context.find('Namespace', '', namespace) }) !== undefined;
}

/** Names in policies may begin or end with `*`. */
function matchesAny(pattern: string, names: ReadonlySet<string>): boolean {
  if (pattern === '*') return true;
  if (pattern.endsWith('*')) return [...names].some((name) => name.startsWith(pattern.slice(0, -1)));
  if (pattern.startsWith('*')) return [...names].some((name) => name.endsWith(pattern.slice(1)));
  return names.has(pattern);
}
