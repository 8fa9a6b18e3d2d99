/** Patches of listeners, their filter chains and filters; the order is Istio's. */
import { anyPack, anyUnpack } from '@bufbuild/protobuf/wkt';
import type { EnvoyConfigObjectMatch } from '../../api/index.ts';
import { Memo, NO_INPUTS } from '../../lib/memo.ts';
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
import { isFor, isMerge, listsOf, type Patch, type PatchSet, type Side } from './patch.ts';
import { placed } from './place.ts';

const HTTP_CONNECTION_MANAGER = 'envoy.filters.network.http_connection_manager';

/** What patches one listener. */
interface Within {
  readonly set: PatchSet;
  readonly side: Side;
  readonly listener: Pick<Listener, 'name' | 'address'>;
  /** Of the route configurations that stand inside of connection managers. */
  readonly routes: (routes: RouteConfiguration) => RouteConfiguration;
}

/** Undefined where a patch removes it. What refuses stays as it is. */
export function patchedListener(set: PatchSet, side: Side, listener: Listener, routes: Within['routes']): Listener | undefined {
  if (listener.listenerSpecifier.case === 'internalListener' || refusalOf(listener.metadata) !== undefined) return listener;
  let result = listener;
  const matching = (patch: Patch, applyTo: Patchable) => isFor(patch, side) && listenerMatches(result, patch, applyTo);
  for (const patch of set.get('LISTENER') ?? []) {
    if (!matching(patch, 'LISTENER')) continue;
    if (patch.operation === 'REMOVE') return undefined;
    if (isMerge(patch.operation)) result = merged(ListenerSchema, result, patch.value as Listener, listsOf(patch));
  }
  const listenerFilters = patchedListenerFilters(
    result.listenerFilters,
    (set.get('LISTENER_FILTER') ?? []).filter((patch) => matching(patch, 'LISTENER_FILTER')),
  );
  const within: Within = { set, side, listener: result, routes };
  const chains = result.filterChains.flatMap((chain) => patchedChain(within, chain) ?? []);
  for (const patch of set.get('FILTER_CHAIN') ?? [])
    if (patch.operation === 'ADD' && matching(patch, 'FILTER_CHAIN')) chains.push(patch.value as FilterChain);
  const defaultFilterChain = result.defaultFilterChain && patchedChain(within, result.defaultFilterChain);
  return { ...result, listenerFilters: [...listenerFilters], filterChains: chains, defaultFilterChain } as Listener;
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

function patchedListenerFilters(filters: readonly ListenerFilter[], patches: readonly Patch[]): readonly ListenerFilter[] {
  let result = filters;
  for (const { operation, match, value } of patches) {
    const filter = value as ListenerFilter;
    const named = match?.listener?.listenerFilter || undefined;
    if (operation === 'MERGE') {
      if (named !== undefined) result = result.map((each) => ({ ...each, configType: mergedType(each, filter) }) as ListenerFilter);
    } else if (named !== undefined || operation !== 'REMOVE') result = placed(result, operation, filter, named);
  }
  return result;
}

const chains = new Memo<FilterChain | undefined>();

/** Undefined where a patch removes it. */
function patchedChain(within: Within, chain: FilterChain): FilterChain | undefined {
  if (chain.filters.length === 0 || refusalOf(chain.metadata) !== undefined) return chain;
  const { set, side, listener } = within;
  return chains.get([set, chain, `${side} ${listener.name} ${portOf(listener)}`], NO_INPUTS, () => buildChain(within, chain));
}

function buildChain(within: Within, chain: FilterChain): FilterChain | undefined {
  let result = chain;
  for (const patch of matching(within, chain, 'FILTER_CHAIN')) {
    if (patch.operation === 'REMOVE') return undefined;
    if (isMerge(patch.operation)) result = mergedChain(result, patch);
  }
  return patchedFilters(within, result);
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
  if (!socket || !patch || socket.name !== patch.name) return undefined;
  return { ...socket, configType: mergedType(socket, patch) } as TransportSocket;
}

interface Configured {
  readonly configType: Filter['configType'] | HttpFilter['configType'] | ListenerFilter['configType'] | TransportSocket['configType'];
}

/** Where both have a configuration in place, that of the first with what the second says. */
function mergedType<T extends Configured>({ configType }: T, { configType: patch }: Configured): T['configType'] {
  if (configType.case !== 'typedConfig' || patch.case !== 'typedConfig') return configType;
  return { case: 'typedConfig', value: mergedConfig(configType.value, patch.value) };
}

function patchedFilters(within: Within, chain: FilterChain): FilterChain {
  const patches = matching(within, chain, 'NETWORK_FILTER');
  const httpPatches = matching(within, chain, 'HTTP_FILTER');
  let filters: readonly Filter[] = chain.filters;
  for (const patch of patches) {
    const { operation, value } = patch;
    const named = networkFilterName(patch);
    if (operation !== 'REMOVE' || named !== undefined) filters = placed(filters, operation, value as Filter, named);
  }
  const result = filters.map((filter) => {
    const changed = patches.filter((patch) => patch.operation === 'MERGE').reduce(mergedFilter<Filter>(networkFilterName), filter);
    return changed.name === HTTP_CONNECTION_MANAGER ? patchedManager(within, changed, httpPatches) : changed;
  });
  return { ...chain, filters: result };
}

function networkFilterName({ match }: Patch): string | undefined {
  const filter = match?.listener?.filterChain?.filter;
  return filter && (filter.name ?? '');
}

function httpFilterName({ match }: Patch): string | undefined {
  const filter = match?.listener?.filterChain?.filter?.subFilter;
  return filter && (filter.name ?? '');
}

/** Of a filter of that name, or of any where the patch names none. */
function mergedFilter<T extends Configured & { readonly name: string }>(
  nameIn: (patch: Patch) => string | undefined,
): (filter: T, patch: Patch) => T {
  return (filter, patch) => {
    const value = patch.value as unknown as T;
    const named = nameIn(patch);
    if ((named !== undefined && named !== filter.name) || filter.configType.case !== 'typedConfig') return filter;
    return { ...filter, name: value.name || filter.name, configType: mergedType(filter, value) };
  };
}

function patchedManager({ side, routes }: Within, filter: Filter, patches: readonly Patch[]): Filter {
  const config = filter.configType.case === 'typedConfig' ? anyUnpack(filter.configType.value, HttpConnectionManagerSchema) : undefined;
  const own = patches.filter((patch) => [undefined, filter.name].includes(networkFilterName(patch)));
  const inline = side === 'SIDECAR_INBOUND' && config?.routeSpecifier.case === 'routeConfig' ? config.routeSpecifier.value : undefined;
  const inlined = inline && routes(inline);
  if (!config || (own.length === 0 && inlined === inline)) return filter;
  const result: HttpConnectionManager = {
    ...config,
    httpFilters: [...patchedHttpFilters(config.httpFilters, own)],
    ...(inlined && { routeSpecifier: { case: 'routeConfig', value: inlined } }),
  };
  return { ...filter, configType: { case: 'typedConfig', value: anyPack(HttpConnectionManagerSchema, result) } };
}

function patchedHttpFilters(filters: readonly HttpFilter[], patches: readonly Patch[]): readonly HttpFilter[] {
  let result = filters;
  for (const patch of patches) {
    const named = httpFilterName(patch);
    if (patch.operation !== 'REMOVE' || named !== undefined) result = placed(result, patch.operation, patch.value as HttpFilter, named);
  }
  const merges = patches.filter((patch) => patch.operation === 'MERGE');
  return result.map((filter) => merges.reduce(mergedFilter<HttpFilter>(httpFilterName), filter));
}
