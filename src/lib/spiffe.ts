/** Identities of workloads, as Istio forms them (SPIFFE). */

export const SPIFFE = 'spiffe://';

/** `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT` */
export function spiffeId(trustDomain: string, namespace: string, serviceAccount: string): string {
  return `${SPIFFE}${trustDomain}/ns/${namespace}/sa/${serviceAccount || 'default'}`;
}
