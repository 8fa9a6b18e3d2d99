/** Kubernetes NetworkPolicies, evaluated for egress, and written. Pure. Rules: networking.k8s.io/v1 NetworkPolicySpec. */

import type { NetworkPolicy, ResourceOf } from '../api/index.ts';
import { cidrCovers, sampleOutside } from '../lib/ip.ts';
import { type Labels, matchesSelector } from '../lib/labels.ts';

type Policy = ResourceOf<'NetworkPolicy'>;

interface PodIdentity {
  readonly namespace: string;
  readonly labels: Labels;
}

/** A destination outside the cluster that policies leave open to a pod. */
interface OpenEgress {
  readonly ip: string;
  /** 0 for any port. */
  readonly port: number;
  /** The policy whose rule allows it; undefined where no policy restricts the pod's egress. */
  readonly policy: Policy | undefined;
}

/** The policies that restrict what leaves the pod. None: everything may. */
export function egressPolicies(policies: readonly Policy[], pod: PodIdentity): Policy[] {
  return policies.filter(
    ({ metadata, spec }) => metadata.namespace === pod.namespace && restrictsEgress(spec) && matchesSelector(spec.podSelector, pod.labels),
  );
}

function restrictsEgress({ policyTypes, egress }: NetworkPolicy): boolean {
  return policyTypes.length > 0 ? policyTypes.includes('Egress') : egress.length > 0;
}

/** Stands for every address outside the cluster (TEST-NET-3). */
const OUTSIDE = '203.0.113.1';

/** One destination outside the cluster that the pod may reach, or undefined if there is none. `inside` are the cluster's ranges. */
export function openEgress(policies: readonly Policy[], pod: PodIdentity, inside: readonly string[]): OpenEgress | undefined {
  const restricting = egressPolicies(policies, pod);
  if (restricting.length === 0) return { ip: OUTSIDE, port: 0, policy: undefined };
  for (const policy of restricting) {
    for (const { to, ports } of policy.spec.egress) {
      const first = ports[0];
      const port = typeof first?.port === 'number' ? first.port : 0;
      if (to.length === 0) return { ip: OUTSIDE, port, policy };
      for (const { ipBlock } of to) {
        if (!ipBlock) continue;
        const ip = sampleOutside(ipBlock.cidr, [...ipBlock.except, ...inside]);
        if (ip !== undefined) return { ip, port, policy };
      }
    }
  }
  return undefined;
}

/** Whether a range lies in the cluster's own. */
export function isInsideCluster(ip: string, inside: readonly string[]): boolean {
  return inside.some((range) => cidrCovers(range, ip));
}

interface NetpolInput {
  /** Namespaces with workloads that are to leave through the gateway only. */
  readonly namespaces: readonly string[];
  /** The egress gateways' pods: the only ones that leave the cluster. */
  readonly gateways: readonly PodIdentity[];
}

/** The policies that leave no way out of the cluster but the gateways: workloads reach pods of the cluster and DNS, gateways everything. */
export function egressOnlyThroughGateways({ namespaces, gateways }: NetpolInput): object[] {
  const everyPod = [{ namespaceSelector: {} }];
  const dns = {
    to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } } }],
    ports: [
      { protocol: 'UDP', port: 53 },
      { protocol: 'TCP', port: 53 },
    ],
  };
  const deny = namespaces.map((namespace) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'egress-within-the-cluster', namespace },
    spec: { podSelector: {}, policyTypes: ['Egress'], egress: [{ to: everyPod }, dns] },
  }));
  const allow = gateways.map(({ namespace, labels }, i) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: gateways.length > 1 ? `egress-gateway-leaves-${i + 1}` : 'egress-gateway-leaves', namespace },
    spec: { podSelector: { matchLabels: labels }, policyTypes: ['Egress'], egress: [{}] },
  }));
  return [...deny, ...allow];
}
