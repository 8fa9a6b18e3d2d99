/** Compiles an encoded listener: its chains are found by what they match, and compiled when they are first used. */
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type FilterChainMatch,
  FilterChainMatchSchema,
  FilterChainSchema,
} from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { type Listener as ListenerConfig, ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { durationMs } from '../../xds/match/duration.ts';
import { type ChainMatcher, compileChainMatches } from '../../xds/match/filter-chain.ts';
import { unsupported } from '../../xds/unpack.ts';
import { lastValue, sameBytes, splitMessage } from '../../xds/wire.ts';
import type { ListenerEnvironment, Plan } from './contract.ts';
import { compileListenerFilters } from './filters.ts';
import { chainKey, LazyChain } from './lazy-chain.ts';

const FILTER_CHAINS = ListenerSchema.field.filterChains.number;
const MATCH = FilterChainSchema.field.filterChainMatch.number;
const NAME = FilterChainSchema.field.name.number;
const DEFAULT_FILTERS_TIMEOUT_MS = 15_000;

/** A listener as it came, with its chains apart. */
export interface EncodedListener {
  /** Without its chains. */
  readonly config: ListenerConfig;
  readonly chains: readonly Uint8Array[];
  readonly defaultChain: Uint8Array | undefined;
}

/** Throws as decoding does. */
export function decodeListener(bytes: Uint8Array): EncodedListener {
  const { rest, parts } = splitMessage(bytes, FILTER_CHAINS);
  const config = fromBinary(ListenerSchema, rest);
  const { defaultFilterChain } = config;
  return { config, chains: parts, defaultChain: defaultFilterChain && toBinary(FilterChainSchema, defaultFilterChain) };
}

/** A plan, and what the next version takes over from it. */
export interface ListenerPlan extends Plan {
  readonly encoded: EncodedListener;
  readonly matcher: ChainMatcher;
}

/**
 * Compiles a listener in steps, one for each chain that is new or changed, so that the caller may do other things between them. Chains of `before` whose
 * content is the same stay what they are. Throws `xds-unsupported` or `xds-invalid`. `checked`: that has been found out of these bytes already.
 */
export function* compilePlan(
  encoded: EncodedListener,
  env: ListenerEnvironment,
  before: ListenerPlan | undefined,
  checked: boolean,
): Generator<void, ListenerPlan> {
  const { config } = encoded;
  refuseUnsupported(config);
  const known = new Map(before?.chains.map((chain) => [chain.key, chain]));
  const kept: { readonly chain: LazyChain; readonly bytes: Uint8Array }[] = [];
  const chains: LazyChain[] = [];
  const all = [...encoded.chains.entries(), ...(encoded.defaultChain ? [[-1, encoded.defaultChain] as const] : [])];
  for (const [place, bytes] of all) {
    const key = chainKey(bytes, config);
    const same = known.get(key);
    if (same) kept.push({ chain: same, bytes });
    const chain = same ?? new LazyChain(key, bytes, place, config, env.filters);
    chains.push(chain);
    if (same || checked) continue;
    chain.check();
    yield;
  }
  if (isInternal(config)) refuseOtherThanTunnel(config, chains);
  const matcher = before && sameMatches(encoded, before.encoded) ? before.matcher : compileMatches(encoded);
  const plan: ListenerPlan = {
    config,
    encoded,
    matcher,
    chains,
    match(connection) {
      const place = matcher(connection) ?? (encoded.defaultChain ? chains.length - 1 : undefined);
      return place === undefined ? undefined : chains[place];
    },
    filters: compileListenerFilters(config, env.explicitProxy),
    filtersTimeoutMs: durationMs(config.listenerFiltersTimeout, undefined) ?? DEFAULT_FILTERS_TIMEOUT_MS,
    sink: env.createSink(config),
  };
  // Only now that nothing can be refused any more.
  for (const { chain, bytes } of kept) chain.bytes = bytes;
  return plan;
}

function refuseUnsupported(config: ListenerConfig): void {
  const where = `listener "${config.name}"`;
  if (config.udpListenerConfig) unsupported(`${where}.udp_listener_config`, 'UDP is not supported');
  if (config.apiListener) unsupported(`${where}.api_listener`, 'not supported');
  if (config.transparent) unsupported(`${where}.transparent`, 'transparent sockets (TPROXY) are not supported');
  if (config.freebind) unsupported(`${where}.freebind`, 'not supported');
  if (config.socketOptions.length > 0) unsupported(`${where}.socket_options`, 'not supported');
}

/** Nothing listens: clusters of this proxy lead to it. */
export function isInternal({ listenerSpecifier }: ListenerConfig): boolean {
  return listenerSpecifier.case === 'internalListener';
}

/** Of connections that the proxy makes itself no filter has anything to look at. */
function refuseOtherThanTunnel({ name, listenerFilters }: ListenerConfig, chains: readonly LazyChain[]): void {
  const only = chains.length === 1 ? fromBinary(FilterChainSchema, chains[0]!.bytes) : undefined;
  if (only?.filters.length !== 1 || listenerFilters.length > 0 || only.transportSocket || !chains[0]!.get().handler.dial)
    unsupported(
      `listener "${name}".internal_listener`,
      'not supported but with one filter chain of a TCP proxy with tunneling_config alone',
    );
}

function compileMatches({ config, chains }: EncodedListener): ChainMatcher {
  const decoder = new TextDecoder();
  const matches = chains.map((bytes) => ({ name: decoder.decode(lastValue(bytes, NAME)), match: matchOf(bytes) }));
  return compileChainMatches(config, matches);
}

function matchOf(bytes: Uint8Array): FilterChainMatch | undefined {
  const match = lastValue(bytes, MATCH);
  return match && fromBinary(FilterChainMatchSchema, match);
}

/** Whether the chains match the same as before, each at its place: what they do with connections is another matter. */
function sameMatches(now: EncodedListener, before: EncodedListener): boolean {
  if (now.config.filterChainMatcher || now.chains.length !== before.chains.length) return false;
  return now.chains.every((chain, place) => sameBytes(chain, before.chains[place]!) || sameMatch(chain, before.chains[place]!));
}

function sameMatch(a: Uint8Array, b: Uint8Array): boolean {
  const [matchA, matchB] = [lastValue(a, MATCH), lastValue(b, MATCH)];
  return matchA === undefined || matchB === undefined ? matchA === matchB : sameBytes(matchA, matchB);
}
