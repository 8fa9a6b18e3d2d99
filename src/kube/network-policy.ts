/** Kubernetes NetworkPolicies, evaluated for egress. Pure. Rules: networking.k8s.io/v1 NetworkPolicySpec. */

import type { NetworkPolicy, ResourceOf } from '../api/index.ts';
import { cidrCovers, parseRange, sampleOutside, singleAddress } from '../lib/ip.ts';
import { type Labels, matchesSelector } from '../lib/labels.ts';

type Policy = ResourceOf<'NetworkPolicy'>;

interface PodIdentity {
  readonly namespace: string;
  readonly labels: Labels;
}

/** A destination outside the cluster that policies leave open to a pod. */
interface OpenEgress {
  /** A range that cannot be read stands as it is written. */
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

/**
 * One destination outside the cluster that the pod may reach, or undefined if there is none. `inside` are the cluster's ranges; `serves` says
 * whether an address and port is one of the cluster's own all the same (its API server's, say).
 */
export function openEgress(
  policies: readonly Policy[],
  pod: PodIdentity,
  inside: readonly string[],
  serves: (ip: string, port: number) => boolean = () => false,
): OpenEgress | undefined {
  const restricting = egressPolicies(policies, pod);
  if (restricting.length === 0) return { ip: OUTSIDE, port: 0, policy: undefined };
  for (const policy of restricting) {
    for (const { to, ports } of policy.spec.egress) {
      const first = ports[0];
      const port = typeof first?.port === 'number' ? first.port : 0;
      const numbers = ports.map(({ port: each, endPort }) => (typeof each === 'number' && endPort === undefined ? each : 0));
      const isServed = (ip: string) => numbers.length > 0 && numbers.every((number) => number > 0 && serves(ip, number));
      if (to.length === 0) return { ip: OUTSIDE, port, policy };
      for (const { ipBlock } of to) {
        if (!ipBlock) continue;
        const single = singleAddress(ipBlock.cidr);
        if (single !== undefined && isServed(single)) continue;
        const ip = parseRange(ipBlock.cidr) ? sampleOutside(ipBlock.cidr, [...ipBlock.except, ...inside]) : ipBlock.cidr;
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
