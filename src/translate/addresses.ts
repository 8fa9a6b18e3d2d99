import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { Service } from '../registry/model.ts';

/**
 * The addresses allocated for a service that this proxy's DNS answers and its listeners know. IPv6 only for a workload that has such an address
 * itself: others could not use it, and clients often try it first.
 */
export function allocatedAddresses({ autoAddresses }: Service, { addresses }: ProxyIdentity): readonly string[] {
  const ipv6 = addresses.some((address) => address.includes(':'));
  return ipv6 ? autoAddresses : autoAddresses.filter((address) => !address.includes(':'));
}
