/** The user's resources behind an xDS resource that a proxy would not take. */
import { originText, type PlacedOrigin } from '../lib/origin.ts';
import type { Metadata } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { originsOf } from '../xds/match/metadata.ts';
import type { XdsResources } from '../xds/resources.ts';

/** @param key `type/name`, as the set names it */
export function originsBehind(resources: XdsResources, key: string | undefined): readonly PlacedOrigin[] {
  const all = [...metadataOf(resources, key)].flatMap((metadata) => originsOf(metadata));
  return [...new Map(all.map((origin) => [originText(origin), origin])).values()];
}

function* metadataOf(resources: XdsResources, key = ''): Generator<Metadata | undefined> {
  const slash = key.indexOf('/');
  const [type, name] = [key.slice(0, slash), key.slice(slash + 1)];
  if (type === 'cluster') yield resources.clusters.find((cluster) => cluster.name === name)?.metadata;
  if (type === 'listener') {
    const listener = resources.listeners.find((candidate) => candidate.name === name);
    yield listener?.metadata;
    for (const chain of listener?.filterChains ?? []) yield chain.metadata;
    yield listener?.defaultFilterChain?.metadata;
  }
  if (type === 'route') {
    for (const host of resources.routes.find((candidate) => candidate.name === name)?.virtualHosts ?? []) {
      yield host.metadata;
      for (const route of host.routes) yield route.metadata;
    }
  }
}
