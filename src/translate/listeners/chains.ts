/** Filter chains before they are messages: so that chains of several services can be compared and put together into one listener. */
import { create, equals } from '@bufbuild/protobuf';
import type { Metadata, TransportSocket } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import {
  type Filter,
  type FilterChain,
  type FilterChainMatch,
  FilterChainMatchSchema,
  FilterChainSchema,
  FilterSchema,
} from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { canonicalCidr, parseCidr } from './cidr.ts';

export type TransportProtocol = '' | 'raw_buffer' | 'tls';

export interface Chain {
  readonly name?: string;
  /** Names of SNI; none, or `*` among them, for any. */
  readonly serverNames: readonly string[];
  readonly destinationCidrs: readonly string[];
  readonly applicationProtocols: readonly string[];
  readonly transportProtocol: TransportProtocol;
  readonly destinationPort?: number;
  readonly filters: readonly Filter[];
  readonly transportSocket?: TransportSocket;
  readonly metadata: Metadata | undefined;
}

/** What a chain is when only its filters and its origin are said. */
export function chain(parts: Pick<Chain, 'filters' | 'metadata'> & Partial<Chain>): Chain {
  return { serverNames: [], destinationCidrs: [], applicationProtocols: [], transportProtocol: '', ...parts };
}

/** Envoy tells any SNI by no condition at all. */
function serverNames(parts: Chain): string[] {
  return parts.serverNames.includes('*') ? [] : [...new Set(parts.serverNames)].sort();
}

function cidrs(parts: Chain): string[] {
  return [...new Set(parts.destinationCidrs.map(canonicalCidr))].filter((cidr) => cidr !== '0.0.0.0/0' && cidr !== '').sort();
}

export function matchesAll(parts: Chain): boolean {
  return (
    serverNames(parts).length === 0 &&
    parts.applicationProtocols.length === 0 &&
    parts.transportProtocol === '' &&
    parts.destinationPort === undefined &&
    parts.destinationCidrs.length === 0
  );
}

/** Chains of one listener, in order. No two have one match: Envoy refuses a listener in which they do. */
export class ChainSet {
  private readonly byMatch = new Map<string, Chain>();

  constructor(chains: readonly Chain[] = []) {
    for (const each of chains) this.add(each);
  }

  /** Returns the chain that has the match already, which then stays. */
  add(parts: Chain): Chain | undefined {
    const key = JSON.stringify([
      parts.transportProtocol,
      parts.applicationProtocols,
      serverNames(parts),
      cidrs(parts),
      parts.destinationPort,
    ]);
    const other = this.byMatch.get(key);
    if (!other) this.byMatch.set(key, parts);
    return other;
  }

  list(): readonly Chain[] {
    return [...this.byMatch.values()];
  }
}

/** Whether it makes no difference which of the two takes a connection. */
export function sameFilters(a: Chain, b: Chain): boolean {
  return a.filters.length === b.filters.length && a.filters.every((filter, index) => equals(FilterSchema, filter, b.filters[index]!));
}

export function filterChain(parts: Chain): FilterChain {
  return create(FilterChainSchema, {
    name: parts.name ?? '',
    filterChainMatch: matchesAll(parts) ? undefined : chainMatch(parts),
    filters: [...parts.filters],
    transportSocket: parts.transportSocket,
    metadata: parts.metadata,
  });
}

function chainMatch(parts: Chain): FilterChainMatch {
  return create(FilterChainMatchSchema, {
    serverNames: serverNames(parts),
    prefixRanges: cidrs(parts).map((cidr) => {
      const { address, bits } = parseCidr(cidr)!;
      return { addressPrefix: address, prefixLen: bits };
    }),
    applicationProtocols: [...parts.applicationProtocols],
    transportProtocol: parts.transportProtocol,
    destinationPort: parts.destinationPort,
  });
}
