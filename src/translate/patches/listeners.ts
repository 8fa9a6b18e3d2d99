/** Patches of listeners, their filter chains and filters; the order is Istio's. */
import { anyPack, anyUnpack } from '@bufbuild/protobuf/wkt';
import type { EnvoyConfigObjectMatch } from '../../api/index.ts';
import { Memo, NO_INPUTS } from '../../lib/memo.ts';
import { sameMembers } from '../../lib/same.ts';
import type { TransportSocket } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import {
  type Filter,
  type FilterChain,
  FilterChainSchema,
  type ListenerFilter,
} from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { type Listener, ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { RouteConfiguration } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
  type HttpFilter,
} from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { refusalOf } from '../../xds/match/metadata.ts';
import { merged } from '../../xds/patches/merge.ts';
import { mergedConfig, type Patchable } from '../../xds/patches/value.ts';
import { VIRTUAL_INBOUND_LISTENER, VIRTUAL_OUTBOUND_LISTENER } from '../names.ts';
import { applied, type Credits, credited, mapped, placed, withRefusing } from './apply.ts';
import { isFor, isMerge, listsOf, type Patch, type PatchSet, type Side } from './patch.ts';

const HTTP_CONNECTION_MANAGER = 'envoy.filters.network.http_connection_manager';

/** What patches one listener. */
interface Within {
  readonly set: PatchSet;
  readonly side: Side;
  readonly listener: Pick<Listener, 'name' | 'address'>;
  /** Of the route configurations that stand inside of connection managers. */
  readonly routes: (routes: RouteConfiguration) => RouteConfiguration;
}

const kept = { listeners: new Memo<Listener | undefined>(), chains: new Memo<FilterChain | undefined>() };

/** Undefined where a patch removes it. What refuses stays as it is. */
export function patchedListener(set: PatchSet, side: Side, listener: Listener, routes: Within['routes']): Listener | undefined {
  if (listener.listenerSpecifier.case === 'internalListener' || refusalOf(listener.metadata) !== undefined) return listener;
  return kept.listeners.get([set, listener, side], NO_INPUTS, () => buildListener(set, side, listener, routes));
}

function buildListener(set: PatchSet, side: Side, listener: Listener, routes: Within['routes']): Listener | undefined {
  const credits: Credits = new Set();
  const own = applied(listener, set.get('LISTENER') ?? [], credits, (value, patch) => {
    if (!isFor(patch, side) || !listenerMatches(value, patch, 'LISTENER')) return value;
    if (patch.operation === 'REMOVE') return undefined;
    return isMerge(patch.operation) ? mergedListener(value, patch) : value;
  });
  if (!own) return undefined;
  const matching = (applyTo: Patchable) =>
    (set.get(applyTo) ?? []).filter((patch) => isFor(patch, side) && listenerMatches(own, patch, applyTo));
  const listenerFilters = applied(own.listenerFilters, matching('LISTENER_FILTER'), credits, withListenerFilter)!;
  const within: Within = { set, side, listener: own, routes };
  const patched = own.filterChains.map((chain) => patchedChain(within, chain));
  const chains = applied(
    patched.filter((chain) => chain !== undefined),
    matching('FILTER_CHAIN'),
    credits,
    (list, { operation, value }) =>
      operation === 'ADD' && (value as FilterChain).filters.length > 0 ? [...list, value as FilterChain] : list,
  )!;
  const defaultFilterChain = own.defaultFilterChain && patchedChain(within, own.defaultFilterChain);
  const isSame = credits.size === 0 && sameMembers(chains, own.filterChains) && defaultFilterChain === own.defaultFilterChain;
  return isSame ? listener : credited({ ...own, listenerFilters, filterChains: chains, defaultFilterChain } as Listener, credits);
}

/** The name stays, by which a listener is replaced; so do chains that refuse, where the patch has a list in place of theirs. */
function mergedListener(listener: Listener, patch: Patch): Listener {
  const result = merged(ListenerSchema, listener, patch.value as Listener, listsOf(patch));
  return { ...result, name: listener.name, filterChains: withRefusing(listener.filterChains, result.filterChains) };
}

function isVirtual({ name }: Pick<Listener, 'name'>): boolean {
  return name === VIRTUAL_INBOUND_LISTENER || name === VIRTUAL_OUTBOUND_LISTENER;
}

function portOf({ address }: Pick<Listener, 'address'>): number | undefined {
  const at = address?.address;
  const port = at?.case === 'socketAddress' ? at.value.portSpecifier : undefined;
  return port?.case === 'portValue' ? port.value : undefined;
}

/** On the listeners that take all ports, the port is looked for in the chains. */
function listenerMatches(listener: Pick<Listener, 'name' | 'address'>, { match }: Patch, applyTo: Patchable): boolean {
  const wanted = match?.listener;
  if (!wanted) return true;
  if (wanted.name && wanted.name !== listener.name) return false;
  if (!wanted.portNumber || (applyTo !== 'LISTENER' && isVirtual(listener))) return true;
  return portOf(listener) === wanted.portNumber;
}

function withListenerFilter(filters: ListenerFilter[], { operation, match, value }: Patch): ListenerFilter[] {
  const filter = value as ListenerFilter;
  const named = match?.listener?.listenerFilter || undefined;
  if (operation !== 'MERGE') return placed(filters, operation, filter, named) as ListenerFilter[];
  if (named === undefined) return filters;
  return mapped(filters, (each) => (each.name === named ? withConfig(each, filter) : each)) as ListenerFilter[];
}

/** Undefined where a patch removes it. */
function patchedChain(within: Within, chain: FilterChain): FilterChain | undefined {
  if (chain.filters.length === 0 || refusalOf(chain.metadata) !== undefined) return chain;
  const { set, side, listener } = within;
  return kept.chains.get([set, chain, `${side} ${listener.name} ${portOf(listener)}`], NO_INPUTS, () => buildChain(within, chain));
}

function buildChain(within: Within, chain: FilterChain): FilterChain | undefined {
  const credits: Credits = new Set();
  const own = applied(chain, matching(within, chain, 'FILTER_CHAIN'), credits, (value, patch) => {
    if (patch.operation === 'REMOVE') return undefined;
    return isMerge(patch.operation) ? mergedChain(value, patch) : value;
  });
  if (!own) return undefined;
  const filters = patchedFilters(within, own, credits);
  return filters === own.filters ? credited(own, credits) : credited({ ...own, filters } as FilterChain, credits);
}

function matching({ set, side, listener }: Within, chain: FilterChain, applyTo: Patchable): readonly Patch[] {
  return (set.get(applyTo) ?? []).filter(
    (patch) => isFor(patch, side) && listenerMatches(listener, patch, applyTo) && chainMatches(listener, chain, patch.match),
  );
}

function chainMatches(
  listener: Pick<Listener, 'name'>,
  { name, filterChainMatch }: FilterChain,
  match: EnvoyConfigObjectMatch | undefined,
): boolean {
  const wanted = match?.listener;
  if (!wanted) return true;
  if (isVirtual(listener) && wanted.portNumber && filterChainMatch?.destinationPort !== wanted.portNumber) return false;
  const chain = wanted.filterChain;
  if (!chain) return true;
  if (chain.name && chain.name !== name) return false;
  if (chain.sni && !filterChainMatch?.serverNames.includes(chain.sni)) return false;
  if (chain.transportProtocol && filterChainMatch?.transportProtocol !== chain.transportProtocol) return false;
  if (chain.destinationPort && filterChainMatch?.destinationPort !== chain.destinationPort) return false;
  return (
    !chain.applicationProtocols ||
    chain.applicationProtocols.split(',').every((each) => filterChainMatch?.applicationProtocols.includes(each))
  );
}

/** A transport socket of the name that is there is merged, and nothing else of such a patch. */
function mergedChain(chain: FilterChain, patch: Patch): FilterChain {
  const value = patch.value as FilterChain;
  const socket = mergedSocket(chain.transportSocket, value.transportSocket);
  return socket ? { ...chain, transportSocket: socket } : merged(FilterChainSchema, chain, value, listsOf(patch));
}

/** Undefined where the two are not sockets of one name. */
export function mergedSocket(socket: TransportSocket | undefined, patch: TransportSocket | undefined): TransportSocket | undefined {
  return socket && patch && socket.name === patch.name ? withConfig(socket, patch) : undefined;
}

interface Configured {
  readonly configType: Filter['configType'] | HttpFilter['configType'] | ListenerFilter['configType'] | TransportSocket['configType'];
}

/** Where both have a configuration in place, with that of the first and what the second says. */
function withConfig<T extends Configured>(value: T, { configType: patch }: Configured): T {
  const { configType } = value;
  if (configType.case !== 'typedConfig' || patch.case !== 'typedConfig') return value;
  const config = mergedConfig(configType.value, patch.value);
  return config === configType.value ? value : { ...value, configType: { case: 'typedConfig', value: config } };
}

function patchedFilters(within: Within, chain: FilterChain, credits: Credits): readonly Filter[] {
  const patches = matching(within, chain, 'NETWORK_FILTER');
  const ofHttp = matching(within, chain, 'HTTP_FILTER');
  const filters = applied<readonly Filter[]>(chain.filters, patches, credits, (list, patch) => {
    const named = networkFilterName(patch);
    return placed(list, patch.operation, patch.value as Filter, named);
  })!;
  return mapped(filters, (filter) => {
    const changed = applied(filter, patches, credits, merging<Filter>(networkFilterName))!;
    return changed.name === HTTP_CONNECTION_MANAGER ? patchedManager(within, changed, ofHttp, credits) : changed;
  });
}

function networkFilterName({ match }: Patch): string | undefined {
  const filter = match?.listener?.filterChain?.filter;
  return filter && (filter.name ?? '');
}

function httpFilterName({ match }: Patch): string | undefined {
  const filter = match?.listener?.filterChain?.filter?.subFilter;
  return filter && (filter.name ?? '');
}

/** MERGE, of a filter of that name or of any where the patch names none. */
function merging<T extends Configured & { readonly name: string }>(
  nameIn: (patch: Patch) => string | undefined,
): (filter: T, patch: Patch) => T {
  return (filter, patch) => {
    if (patch.operation !== 'MERGE' || filter.configType.case !== 'typedConfig') return filter;
    const named = nameIn(patch);
    if (named !== undefined && named !== filter.name) return filter;
    const value = patch.value as unknown as T;
    const result = withConfig(filter, value);
    return value.name && value.name !== result.name ? { ...result, name: value.name } : result;
  };
}

function patchedManager({ side, routes }: Within, filter: Filter, patches: readonly Patch[], credits: Credits): Filter {
  const config = filter.configType.case === 'typedConfig' ? anyUnpack(filter.configType.value, HttpConnectionManagerSchema) : undefined;
  if (!config) return filter;
  const own = patches.filter((patch) => [undefined, filter.name].includes(networkFilterName(patch)));
  const httpFilters = patchedHttpFilters(config.httpFilters, own, credits);
  const inline = side === 'SIDECAR_INBOUND' && config.routeSpecifier.case === 'routeConfig' ? config.routeSpecifier.value : undefined;
  const inlined = inline && routes(inline);
  if (httpFilters === config.httpFilters && inlined === inline) return filter;
  const result: HttpConnectionManager = {
    ...config,
    httpFilters: [...httpFilters],
    ...(inlined && { routeSpecifier: { case: 'routeConfig', value: inlined } }),
  };
  return { ...filter, configType: { case: 'typedConfig', value: anyPack(HttpConnectionManagerSchema, result) } };
}

function patchedHttpFilters(filters: readonly HttpFilter[], patches: readonly Patch[], credits: Credits): readonly HttpFilter[] {
  const list = applied(filters, patches, credits, (before, patch) =>
    placed(before, patch.operation, patch.value as HttpFilter, httpFilterName(patch)),
  )!;
  return mapped(list, (filter) => applied(filter, patches, credits, merging<HttpFilter>(httpFilterName))!);
}
