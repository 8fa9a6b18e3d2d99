/** Which policies hold for a proxy. */
import { GATEWAY_API } from '../../api/gateway-api/common.ts';
import type { PolicyTargetReference, ResourceOf, WorkloadLabelSelector } from '../../api/index.ts';
import { isOfGatewayApi, type Resource } from '../../api/resource.ts';
import { matchesLabels } from '../../lib/labels.ts';
import type { ProxyInMesh } from '../context.ts';
import { gatewaysOf } from '../gateways.ts';

interface Targeted {
  readonly selector?: WorkloadLabelSelector;
  readonly targetRef?: PolicyTargetReference;
  readonly targetRefs?: readonly PolicyTargetReference[];
}

/**
 * A policy attached to a Kubernetes Gateway holds for the proxies that serve it. (Istio looks at it on proxies that it has deployed itself only; what was
 * meant to restrict a gateway shall not leave it open.) Those attached to Services hold for waypoints, not for these proxies.
 */
export function selects(context: ProxyInMesh, policy: Resource<string, Targeted>): boolean {
  const { proxy, mesh } = context;
  const { selector, targetRef, targetRefs = [] } = policy.spec;
  const targets = targetRef ? [targetRef, ...targetRefs] : targetRefs;
  if (targets.length > 0) return targets.some((target) => isServed(context, policy.metadata.namespace, target));
  return inNamespace(policy, proxy.namespace, mesh.config.rootNamespace) && matchesLabels(selector?.matchLabels ?? {}, proxy.labels);
}

function isServed(context: ProxyInMesh, namespace: string, { group, kind, name }: PolicyTargetReference): boolean {
  if (context.proxy.type !== 'router' || group !== GATEWAY_API || kind !== 'Gateway') return false;
  return gatewaysOf(context).some(
    (gateway) =>
      isOfGatewayApi(gateway) && gateway.derivedFrom?.metadata.namespace === namespace && gateway.derivedFrom.metadata.name === name,
  );
}

export function inNamespace({ metadata }: Resource, namespace: string, rootNamespace: string): boolean {
  return metadata.namespace === namespace || metadata.namespace === rootNamespace;
}

/** The AuthorizationPolicies that hold for the proxy, oldest first. */
export function authorizationPolicies(context: ProxyInMesh): ResourceOf<'AuthorizationPolicy'>[] {
  return context.mesh.snapshot.list('AuthorizationPolicy').filter((each) => selects(context, each));
}

/** Whether the policy's verdict is only noted. */
export function isDryRun({ metadata }: ResourceOf<'AuthorizationPolicy'>): boolean {
  return ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(metadata.annotations['istio.io/dry-run'] ?? '');
}
