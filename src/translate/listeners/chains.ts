/** Filter chains before they are messages: so that chains of several services can be compared and put together into one listener. */
import { create, equals } from '@bufbuild/protobuf';
import { canonicalRange, formatIp, parseRange } from '../../lib/ip.ts';
import type { Metadata, TransportSocket } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import {
  type Filter,
  type FilterChain,
  type FilterChainMatch,
  FilterChainMatchSchema,
  FilterChainSchema,
  FilterSchema,
} from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';

type TransportProtocol = '' | 'raw_buffer' | 'tls';

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
  return [...new Set(parts.destinationCidrs.map(canonicalRange))].filter((cidr) => cidr !== '0.0.0.0/0' && cidr !== '').sort();
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

/**
 * Chains of one listener, in order. No two of them may take the same connection by the same conditions: Envoy refuses a listener in which they do, so
 * that the first has what two want, be it all or some of their names and networks.
 */
export class ChainSet {
  private readonly chains: Chain[] = [];
  /** Who has a combination of conditions, each with one name and one network. */
  private readonly owners = new Map<string, Chain>();

  constructor(chains: readonly Chain[] = []) {
    for (const each of chains) this.add(each);
  }

  /** Takes what is left of the chain; returns one that has all or a part of it already, which then stays. */
  add(parts: Chain): Chain | undefined {
    const names = serverNames(parts);
    const networks = cidrs(parts);
    const wanted = (names.length > 0 ? names : ['']).map((name) => ({
      name,
      networks: (networks.length > 0 ? networks : ['']).map((network) => ({ network, key: keyOf(parts, name, network) })),
    }));
    const owner = wanted.flatMap((each) => each.networks).find(({ key }) => this.owners.has(key));
    const other = owner && this.owners.get(owner.key);
    const taken = ({ key }: { key: string }) => this.owners.has(key);
    // Names that nobody has, with all networks; of the others each with the networks that are left to it.
    const whole = wanted.filter((each) => !each.networks.some(taken));
    const rest = wanted.filter((each) => each.networks.some(taken) && !each.networks.every(taken));
    const pieces = [
      ...(whole.length > 0 ? [{ names: whole.map(({ name }) => name), networks }] : []),
      ...rest.map((each) => ({ names: [each.name], networks: each.networks.filter((one) => !taken(one)).map(({ network }) => network) })),
    ];
    for (const piece of pieces) {
      const kept = other ? { ...parts, serverNames: piece.names.filter((name) => name !== ''), destinationCidrs: piece.networks } : parts;
      this.chains.push(kept);
      for (const name of piece.names) {
        for (const network of piece.networks.length > 0 ? piece.networks : ['']) this.owners.set(keyOf(parts, name, network), kept);
      }
    }
    return other;
  }

  list(): readonly Chain[] {
    return this.chains;
  }
}

function keyOf({ transportProtocol, applicationProtocols, destinationPort }: Chain, name: string, network: string): string {
  return JSON.stringify([transportProtocol, applicationProtocols, destinationPort, name.toLowerCase(), network]);
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
      const { words, length } = parseRange(cidr)!;
      return { addressPrefix: formatIp(words), prefixLen: length };
    }),
    applicationProtocols: [...parts.applicationProtocols],
    transportProtocol: parts.transportProtocol,
    destinationPort: parts.destinationPort,
  });
}
