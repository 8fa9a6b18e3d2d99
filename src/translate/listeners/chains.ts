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
import { toDuration } from '../proto.ts';

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
  readonly transportSocket?: TransportSocket | undefined;
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
  /** Who has a combination of conditions, each with one name and one network. Of a single chain nobody asks. */
  private readonly owners = new Map<string, Chain>();

  constructor(chains: readonly Chain[] = []) {
    for (const each of chains) this.add(each);
  }

  /** Takes what is left of the chain; returns one that has all or a part of it already, which then stays. */
  add(parts: Chain): Chain | undefined {
    const [first] = this.chains;
    if (!first) {
      this.chains.push(parts);
      return undefined;
    }
    if (this.owners.size === 0) for (const { networks } of conditionsOf(first)) for (const { key } of networks) this.owners.set(key, first);
    const wanted = conditionsOf(parts);
    const owner = wanted.flatMap((each) => each.networks).find(({ key }) => this.owners.has(key));
    const other = owner && this.owners.get(owner.key);
    if (!other) {
      this.chains.push(parts);
      for (const each of wanted) for (const { key } of each.networks) this.owners.set(key, parts);
      return undefined;
    }
    const networks = cidrs(parts);
    const taken = ({ key }: { key: string }) => this.owners.has(key);
    // Names that nobody has, with all networks; of the others each with the networks that are left to it.
    const whole = wanted.filter((each) => !each.networks.some(taken));
    const rest = wanted.filter((each) => each.networks.some(taken) && !each.networks.every(taken));
    const pieces = [
      ...(whole.length > 0 ? [{ names: whole.map(({ name }) => name), networks }] : []),
      ...rest.map((each) => ({ names: [each.name], networks: each.networks.filter((one) => !taken(one)).map(({ network }) => network) })),
    ];
    for (const piece of pieces) {
      const kept = { ...parts, serverNames: piece.names.filter((name) => name !== ''), destinationCidrs: piece.networks };
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

interface Condition {
  readonly name: string;
  readonly networks: readonly { readonly network: string; readonly key: string }[];
}

const conditions = new WeakMap<Chain, readonly Condition[]>();

/** The combinations of one name and one network that a chain takes; the empty one stands for any. */
function conditionsOf(parts: Chain): readonly Condition[] {
  let known = conditions.get(parts);
  if (!known) {
    const names = serverNames(parts);
    const networks = cidrs(parts);
    known = (names.length > 0 ? names : ['']).map((name) => ({
      name,
      networks: (networks.length > 0 ? networks : ['']).map((network) => ({ network, key: keyOf(parts, name, network) })),
    }));
    conditions.set(parts, known);
  }
  return known;
}

function keyOf({ transportProtocol, applicationProtocols, destinationPort }: Chain, name: string, network: string): string {
  return JSON.stringify([transportProtocol, applicationProtocols, destinationPort, name.toLowerCase(), network]);
}

/** Whether it makes no difference which of the two takes a connection. */
export function sameFilters(a: Chain, b: Chain): boolean {
  return a.filters.length === b.filters.length && a.filters.every((filter, index) => equals(FilterSchema, filter, b.filters[index]!));
}

const messages = new WeakMap<Chain, FilterChain>();

/** The same message for the same chain. */
export function filterChain(parts: Chain): FilterChain {
  let message = messages.get(parts);
  if (!message) {
    message = toMessage(parts);
    messages.set(parts, message);
  }
  return message;
}

/** So long may a client take over its handshake: connections of clients that never end theirs would add up. */
const HANDSHAKE_TIMEOUT = toDuration(15_000);

function toMessage(parts: Chain): FilterChain {
  return create(FilterChainSchema, {
    name: parts.name ?? '',
    filterChainMatch: matchesAll(parts) ? undefined : chainMatch(parts),
    filters: [...parts.filters],
    transportSocket: parts.transportSocket,
    ...(parts.transportSocket ? { transportSocketConnectTimeout: HANDSHAKE_TIMEOUT } : {}),
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
