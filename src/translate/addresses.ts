import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { Service } from '../registry/model.ts';

/**
 * The addresses allocated for a service that this proxy's DNS answers and its listeners know. IPv6 only for a workload that has such an address
 * itself: others could not use it, and clients often try it first.
 */
export function allocatedAddresses({ autoAddresses }: Service, { addresses }: ProxyIdentity): readonly string[] {
  return addresses.some(isIpv6) ? autoAddresses : autoAddresses.filter((address) => !isIpv6(address));
}

/** Asked by name, so that what is read of a proxy's addresses is the families that it has (see reading.ts). */
export function isIpv6(address: string): boolean {
  return address.includes(':');
}

export function isIpv4(address: string): boolean {
  return !isIpv6(address);
}
