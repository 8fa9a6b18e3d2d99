/** Identities of workloads and control planes, as Istio forms them (SPIFFE). */

export const SPIFFE = 'spiffe://';

/** `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT` */
export function spiffeId(trustDomain: string, namespace: string, serviceAccount: string): string {
  return `${SPIFFE}${trustDomain}/ns/${namespace}/sa/${serviceAccount || 'default'}`;
}

/** The same identity in another trust domain; nothing for names that are no identities. */
export function inTrustDomain(name: string, trustDomain: string): string[] {
  if (!name.startsWith(SPIFFE)) return [];
  const slash = name.indexOf('/', SPIFFE.length);
  return slash < 0 ? [] : [`${SPIFFE}${trustDomain}${name.slice(slash)}`];
}

/** The name that certificates of control planes have, ours and Istio's, whatever the address: a mesh's CA gives it to nobody else. */
export const CONTROL_PLANE_HOST = 'istiod.istio-system.svc';

/** Whom a workload's token is for, as Istio's agents have it. */
export const TOKEN_AUDIENCE = 'istio-ca';
