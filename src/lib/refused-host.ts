/**
 * Hosts that stand for refusals of what is not HTTP: an EgressPolicy's calls that no rule of it takes are led there, and nothing answers. The name of the cluster says
 * why in logs, flows and explanations.
 */
export const REFUSED = {
  notAllowed: 'not-allowed.egress-policy.internal',
  ended: 'ended.egress-policy.internal',
  forwardProxy: 'forward-proxy.egress-policy.internal',
} as const;

const REASONS: readonly (readonly [ending: string, reason: string])[] = [
  [`|${REFUSED.notAllowed}`, 'an EgressPolicy allows it to other workloads than this one'],
  [
    `|${REFUSED.forwardProxy}`,
    'it is the forward proxy that calls leave through, and whoever calls it by itself could ask it for any host',
  ],
  [`|${REFUSED.ended}`, 'the EgressPolicy that allowed it has ended'],
];

/** Why calls that are led to a cluster of this name are refused; undefined where they are not. */
export function refusedBy(cluster: string): string | undefined {
  return REASONS.find(([ending]) => cluster.endsWith(ending))?.[1];
}
