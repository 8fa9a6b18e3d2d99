/** Where a cluster that resolves the name of each call (a dynamic forward proxy) may connect to. Pure. */
import type { JsonValue } from '@bufbuild/protobuf';
import { type Cidr, cidrContains, formatIp, type IpWords, parseRange } from '../../lib/ip.ts';
import { specialUse } from '../../lib/special-address.ts';
import type { Metadata } from '../gen/envoy/config/core/v3/base_pb.js';
import { SALLYPORT_METADATA } from '../names.ts';

export interface Reach {
  readonly ports: readonly number[];
  /** Ranges in which addresses of special use are reached too. */
  readonly ranges: readonly Cidr[];
}

/** Undefined for clusters of other control planes, which reach what Envoy reaches: everything. */
export function reachOf(metadata: Metadata | undefined): Reach | undefined {
  const reach = metadata?.filterMetadata[SALLYPORT_METADATA]?.reach;
  if (typeof reach !== 'object' || reach === null || Array.isArray(reach)) return undefined;
  const { ports = null, ranges = null } = reach;
  return {
    ports: list(ports).filter((port) => typeof port === 'number'),
    ranges: list(ranges).flatMap((range) => (typeof range === 'string' ? (parseRange(range) ?? []) : [])),
  };
}

function list(value: JsonValue): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}

/** Why the port is not reached, or undefined. */
export function portRefusal({ ports }: Reach, port: number): string | undefined {
  return ports.includes(port) ? undefined : `port ${port} is not declared, only ${ports.join(', ') || 'none'}`;
}

/** Why the address is not reached, or undefined. */
export function addressRefusal({ ranges }: Reach, ip: IpWords): string | undefined {
  const special = specialUse(ip);
  return special === undefined || ranges.some((range) => cidrContains(range, ip)) ? undefined : `${formatIp(ip)} is ${special}`;
}
