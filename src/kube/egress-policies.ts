/** The NetworkPolicies under which only gateways leave a cluster, written. Pure. Rules: networking.k8s.io/v1 NetworkPolicySpec. */
import { parseRange } from '../lib/ip.ts';
import type { Labels } from '../lib/labels.ts';

/** What every workload may call although it is no pod that a policy could select: the API server, a name server on its node. */
export interface ClusterServer {
  /** Of whom it is, for people. */
  readonly what: string;
  readonly ip: string;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
}

export interface EgressPoliciesInput {
  /** Namespaces with workloads that are to leave through the gateways only. */
  readonly namespaces: readonly string[];
  /** What selects the pods of the egress gateways: the only ones that leave the cluster. */
  readonly gateways: readonly { readonly namespace: string; readonly selector: Labels }[];
  readonly servers: readonly ClusterServer[];
}

/**
 * The policies that leave no way out of the cluster but the gateways: workloads reach pods of the cluster and its servers, gateways everything.
 * What comes in is not restricted, so the API server still reaches webhooks, and the kubelet the pods that it probes.
 */
export function egressPoliciesFor({ namespaces, gateways, servers }: EgressPoliciesInput): object[] {
  const egress = [{ to: [{ namespaceSelector: {} }] }, ...serverRules(servers)];
  const deny = namespaces.map((namespace) => policy('egress-within-the-cluster', namespace, {}, egress));
  const allow = gateways.map(({ namespace, selector }, i) => {
    const name = gateways.length > 1 ? `egress-gateway-leaves-${i + 1}` : 'egress-gateway-leaves';
    return policy(name, namespace, { matchLabels: selector }, [{}]);
  });
  return [...deny, ...allow];
}

function policy(name: string, namespace: string, podSelector: object, egress: readonly object[]): object {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace },
    spec: { podSelector, policyTypes: ['Egress'], egress },
  };
}

/** One rule an address. */
function serverRules(servers: readonly ClusterServer[]): object[] {
  return [...Map.groupBy(servers, ({ ip }) => ip)].map(([ip, own]) => ({
    to: [{ ipBlock: { cidr: `${ip}/${parseRange(ip)!.length}` } }],
    ports: own.map(({ protocol, port }) => ({ protocol, port })),
  }));
}
