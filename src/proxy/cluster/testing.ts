/** For tests of load balancing. */
import type { HostEntry } from './host.ts';

/** An address at port 80: healthy, of the first priority and of weight 1 unless said otherwise. */
export function hostEntry(ip: string, more: Partial<HostEntry> = {}): HostEntry {
  return {
    address: { ip, port: 80 },
    hostname: '',
    weight: 1,
    priority: 0,
    locality: '',
    localityWeight: 0,
    healthy: true,
    transportMatch: undefined,
    workload: '',
    ...more,
  };
}
