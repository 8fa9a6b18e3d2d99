/** The resources that a client of the protocol has to ask for by name: those that its clusters and listeners refer to. */
import type { Message } from '@bufbuild/protobuf';
import type { Cluster } from '../gen/envoy/config/cluster/v3/cluster_pb.js';
import type { TransportSocket } from '../gen/envoy/config/core/v3/base_pb.js';
import type { FilterChain } from '../gen/envoy/config/listener/v3/listener_components_pb.js';
import type { Listener } from '../gen/envoy/config/listener/v3/listener_pb.js';
import { injectedSecrets } from '../injected-secrets.ts';
import type { XdsResources } from '../resources.ts';
import { secretsOf } from '../secret-references.ts';
import type { Entries } from './received.ts';
import { warmedBy } from './references.ts';

/** Types whose resources are asked for by name. */
export type NamedType = 'endpoint' | 'route' | 'secret';

export type Wanted = Readonly<Record<NamedType, ReadonlySet<string>>>;

const known = new WeakMap<Entries, Wanted>();
const secrets = new WeakMap<Message, readonly Sourced[]>();

interface Sourced {
  readonly name: string;
  /** `api`: another server than the control plane, as an agent beside the proxy. */
  readonly source: 'control plane' | 'api' | 'other';
}

/** What these clusters or listeners refer to. */
export function wantedBy(entries: Entries): Wanted {
  let wanted = known.get(entries);
  if (!wanted) {
    wanted = read(entries);
    known.set(entries, wanted);
  }
  return wanted;
}

function read(entries: Entries): Wanted {
  const wanted = { endpoint: new Set<string>(), route: new Set<string>(), secret: new Set<string>() };
  for (const { resource, message } of entries.values()) {
    for (const { type, name } of warmedBy(resource)) if (type === 'endpoint' || type === 'route') wanted[type].add(name);
    for (const { name, source } of secretsIn(message)) if (source === 'control plane') wanted.secret.add(name);
  }
  return wanted;
}

/** Names of the secrets that clusters and listeners have from an agent beside the proxy. */
export function leftToAgent({ clusters, listeners }: Pick<XdsResources, 'clusters' | 'listeners'>): ReadonlySet<string> {
  const names = new Set<string>();
  for (const message of [...clusters, ...listeners])
    for (const { name, source } of secretsIn(message)) if (source === 'api') names.add(name);
  return names;
}

function secretsIn(message: Message): readonly Sourced[] {
  let names = secrets.get(message);
  if (!names) {
    names = [...socketsOf(message as Cluster | Listener).flatMap(sourcedIn), ...credentialsIn(message as Cluster | Listener)];
    secrets.set(message, names);
  }
  return names;
}

function socketsOf(message: Cluster | Listener): (TransportSocket | undefined)[] {
  if (message.$typeName === 'envoy.config.cluster.v3.Cluster')
    return [message.transportSocket, ...message.transportSocketMatches.map(({ transportSocket }) => transportSocket)];
  return chainsOf(message).map(({ transportSocket }) => transportSocket);
}

function credentialsIn(message: Cluster | Listener): Sourced[] {
  if (message.$typeName === 'envoy.config.cluster.v3.Cluster') return [];
  return chainsOf(message).flatMap((chain) => injectedSecrets(chain).map((name) => ({ name, source: 'control plane' as const })));
}

function chainsOf({ filterChains, defaultFilterChain }: Listener): readonly FilterChain[] {
  return defaultFilterChain ? [...filterChains, defaultFilterChain] : filterChains;
}

function sourcedIn(socket: TransportSocket | undefined): Sourced[] {
  return secretsOf(socket).map(({ name, sdsConfig }) => {
    const source = sdsConfig?.configSourceSpecifier.case;
    if (source === 'ads' || source === 'self') return { name, source: 'control plane' };
    return { name, source: source === 'apiConfigSource' ? 'api' : 'other' };
  });
}
