/** The statuses of BackendTLSPolicies: what they mean to each Gateway that sends traffic to their targets. */
import { conditionsFor } from '../../api/condition.ts';
import type { BackendObjectReference } from '../../api/gateway-api/common.ts';
import { GATEWAY_API } from '../../api/gateway-api/common.ts';
import type { ResourceOf } from '../../api/index.ts';
import { policyProblems } from '../backend-tls.ts';
import type { Context } from '../model.ts';
import { type Attached, referencesOf } from './route.ts';
import type { WantedStatus } from './wanted.ts';

export function policyStatuses(context: Context, attached: Attached): WantedStatus[] {
  const policies = context.objects.list('BackendTLSPolicy');
  if (policies.length === 0) return [];
  const gateways = gatewaysByService(attached);
  const problems = policyProblems(context);
  return policies.map((policy) => {
    const { namespace, name } = policy.metadata;
    const ancestors = new Set(policy.spec.targetRefs.flatMap((target) => [...(gateways.get(`${namespace}/${target.name}`) ?? [])]));
    const condition = conditionsFor(policy);
    const { accepted, resolved } = problems.get(policy) ?? {};
    const conditions = [
      accepted
        ? condition('Accepted', false, accepted.reason, accepted.message)
        : condition('Accepted', true, 'Accepted', 'the policy holds'),
      resolved
        ? condition('ResolvedRefs', false, resolved.reason, resolved.message)
        : condition('ResolvedRefs', true, 'ResolvedRefs', 'all that it refers to is there'),
    ];
    // The API has room for sixteen.
    const said = [...ancestors].sort().slice(0, 16);
    return { kind: 'BackendTLSPolicy', namespace, name, status: { ancestors: said.map((each) => ({ ref: refTo(each), conditions })) } };
  });
}

function refTo(gateway: string): Record<string, string> {
  const [namespace, name] = gateway.split('/');
  return { group: GATEWAY_API, kind: 'Gateway', namespace: namespace!, name: name! };
}

/** The Gateways (`namespace/name`) whose routes lead to a Service, by the Service. */
function gatewaysByService({ routes }: Attached): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const { route, parents } of routes) {
    const gateways = parents.flatMap(({ attachments }) =>
      attachments.flatMap((each) => (each.kind === 'listener' ? [nameOf(each.listener.gateway)] : [])),
    );
    if (gateways.length === 0) continue;
    for (const ref of referencesOf(route)) {
      const key = serviceKey(ref, route.metadata.namespace);
      const known = found.get(key) ?? new Set();
      for (const each of gateways) known.add(each);
      found.set(key, known);
    }
  }
  return found;
}

function serviceKey({ name, namespace }: BackendObjectReference, own: string): string {
  return `${namespace ?? own}/${name}`;
}

function nameOf({ metadata }: ResourceOf<'KubernetesGateway'>): string {
  return `${metadata.namespace}/${metadata.name}`;
}
