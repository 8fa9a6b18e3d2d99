/**
 * Which other resources a changed one waits for in Envoy: a cluster that changes takes no traffic until its endpoints have come again, a listener until
 * its routes have ("warming"). Read from the bytes, once for each version of a resource.
 */
import type { EncodedResource, ResourceType } from '../resources.ts';
import { lastValue, splitMessage } from '../wire.ts';

/** Numbers of fields (cluster.proto, listener.proto, listener_components.proto, http_connection_manager.proto, any.proto). */
const CLUSTER = { edsClusterConfig: 3, serviceName: 2 } as const;
const LISTENER = { filterChains: 3, defaultFilterChain: 25 } as const;
const CHAIN_FILTERS = 3;
const FILTER_CONFIG = 4;
const ANY = { typeUrl: 1, value: 2 } as const;
const MANAGER = { rds: 3, routeConfigName: 2 } as const;
const MANAGER_TYPE = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

export interface Reference {
  readonly type: ResourceType;
  readonly name: string;
}

const known = new WeakMap<EncodedResource, readonly Reference[]>();
const knownOfAll = new WeakMap<readonly EncodedResource[], readonly Reference[]>();

/** What has to come again when these change. */
export function warmedByAll(resources: readonly EncodedResource[]): readonly Reference[] {
  let references = knownOfAll.get(resources);
  if (!references) {
    references = resources.flatMap(warmedBy);
    knownOfAll.set(resources, references);
  }
  return references;
}

/** What has to come again when this changes. */
export function warmedBy(resource: EncodedResource): readonly Reference[] {
  let references = known.get(resource);
  if (!references) {
    references = read(resource);
    known.set(resource, references);
  }
  return references;
}

function read({ type, name, bytes }: EncodedResource): readonly Reference[] {
  if (type === 'cluster') {
    const eds = lastValue(bytes, CLUSTER.edsClusterConfig);
    return eds ? [{ type: 'endpoint', name: textOf(lastValue(eds, CLUSTER.serviceName)) || name }] : [];
  }
  if (type === 'listener') {
    const fallback = lastValue(bytes, LISTENER.defaultFilterChain);
    const chains = [...splitMessage(bytes, LISTENER.filterChains).parts, ...(fallback ? [fallback] : [])];
    return [...new Set(chains.flatMap(routesOf))].map((route) => ({ type: 'route', name: route }));
  }
  return [];
}

function routesOf(chain: Uint8Array): string[] {
  return splitMessage(chain, CHAIN_FILTERS).parts.flatMap((filter) => {
    const config = lastValue(filter, FILTER_CONFIG);
    if (!config || textOf(lastValue(config, ANY.typeUrl)) !== MANAGER_TYPE) return [];
    const rds = lastValue(lastValue(config, ANY.value) ?? NOTHING, MANAGER.rds);
    return rds ? [textOf(lastValue(rds, MANAGER.routeConfigName))] : [];
  });
}

const NOTHING = new Uint8Array();

function textOf(bytes: Uint8Array | undefined): string {
  return bytes ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8') : '';
}
