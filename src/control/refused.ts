/** What proxies would not take, as findings about the user's resources that it was made of. */
import { DECODING_CODES } from '../api/codes.ts';
import type { Kind } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import type { Refusal } from '../engine/contract.ts';
import type { Finding } from '../lib/finding.ts';
import { originText, type PlacedOrigin } from '../lib/origin.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { placeOfHost } from '../xds/ads/virtual-hosts.ts';
import type { Metadata } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import type { VirtualHost } from '../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { originsOf } from '../xds/match/metadata.ts';
import type { XdsResources } from '../xds/resources.ts';
import type { ProxyState } from './report.ts';

const CODE = 'SP0017';

/** One for each thing that was refused, however many proxies did. @param snapshot where the resources are written */
export function refusalFindings(proxies: readonly ProxyState[], snapshot: Snapshot): Finding[] {
  const refused = new Map<string, { readonly by: ProxyState[]; readonly refusal: Refusal }>();
  for (const proxy of proxies) {
    for (const refusal of proxy.refusals) {
      const key = `${refusal.resource}\n${refusal.message}`;
      const known = refused.get(key);
      if (known) known.by.push(proxy);
      else refused.set(key, { by: [proxy], refusal });
    }
  }
  return [...refused.values()].map(({ by, refusal }) => findingOf(by, refusal, snapshot));
}

function findingOf(by: readonly ProxyState[], { resource, message, key }: Refusal, snapshot: Snapshot): Finding {
  const [{ identity, resources }] = by as readonly [ProxyState, ...ProxyState[]];
  const [first, ...others] = originsBehind(resources, key);
  const also = by.length > 1 ? ` and ${by.length - 1} more` : '';
  const made = others.length > 0 ? ` It was also made of ${others.slice(0, MOST_NAMED).map(originText).join(', ')}.` : '';
  const said = message.trim().replace(`${resource}: `, '');
  const stays = key === undefined ? '' : ' What was in force of it before stays in force there.';
  return {
    code: CODE,
    // What is no single resource was left out knowingly.
    level: key === undefined ? 'Warning' : DECODING_CODES[CODE].level,
    message: `${proxyText(identity)}${also} would not take ${resource}: ${said}${/[.!?]$/.test(said) ? '' : '.'}${stays}${made}`,
    origin: first
      ? { kind: first.kind, namespace: first.namespace, name: first.name }
      : { kind: 'Proxy', namespace: identity.namespace, name: identity.name },
    ...(first ? positionOf(first, snapshot) : {}),
  };
}

/** Of the user's resources that a refusal names. */
const MOST_NAMED = 5;

function proxyText({ type, namespace, name }: ProxyIdentity): string {
  return `${type} ${namespace}/${name}`;
}

function positionOf({ kind, namespace, name }: PlacedOrigin, snapshot: Snapshot): Pick<Finding, 'position'> {
  const position = snapshot.get(kind as Kind, namespace, name)?.source.position();
  return position ? { position } : {};
}

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
  if (type === 'route') yield* metadataOfHosts(resources.routes.find((candidate) => candidate.name === name)?.virtualHosts);
  if (type === 'virtualHost') {
    const [routes, host] = placeOfHost(name);
    yield* metadataOfHosts(resources.routes.find((one) => one.name === routes)?.virtualHosts.filter((one) => one.name === host));
  }
}

function* metadataOfHosts(hosts: readonly VirtualHost[] = []): Generator<Metadata | undefined> {
  for (const { metadata, routes } of hosts) {
    yield metadata;
    for (const route of routes) yield route.metadata;
  }
}
