import type { Service } from '../registry/model.ts';

/**
 * The addresses allocated for a service that a proxy's DNS answers, and its listeners and routes know. IPv6 only for a workload that has such an
 * address itself (`ipv6`): others could not use it, and clients often try it first.
 */
export function allocatedAddresses({ autoAddresses }: Service, ipv6: boolean): readonly string[] {
  return ipv6 ? autoAddresses : autoAddresses.filter(isIpv4);
}

/** Asked by name, so that what is read of a proxy's addresses is the families that it has (see reading.ts). */
export function isIpv6(address: string): boolean {
  return address.includes(':');
}

export function isIpv4(address: string): boolean {
  return !isIpv6(address);
}
