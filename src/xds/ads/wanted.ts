/** The resources that a client of the protocol has to ask for by name: those that its clusters and listeners refer to. */
import type { Cluster } from '../gen/envoy/config/cluster/v3/cluster_pb.js';
import type { TransportSocket } from '../gen/envoy/config/core/v3/base_pb.js';
import type { FilterChain } from '../gen/envoy/config/listener/v3/listener_components_pb.js';
import type { Listener } from '../gen/envoy/config/listener/v3/listener_pb.js';
import { secretsOf } from '../secret-references.ts';
import type { Entries, Entry } from './received.ts';
import { warmedBy } from './references.ts';

/** Types whose resources are asked for by name. */
export type NamedType = 'endpoint' | 'route' | 'secret';

export type Wanted = Readonly<Record<NamedType, ReadonlySet<string>>>;

const known = new WeakMap<Entries, Wanted>();
const secrets = new WeakMap<Entry['message'], readonly string[]>();

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
    for (const name of secretsIn(message)) wanted.secret.add(name);
  }
  return wanted;
}

function secretsIn(message: Entry['message']): readonly string[] {
  let names = secrets.get(message);
  if (!names) {
    names = [...new Set(socketsOf(message as Cluster | Listener).flatMap(namesIn))];
    secrets.set(message, names);
  }
  return names;
}

function socketsOf(message: Cluster | Listener): (TransportSocket | undefined)[] {
  if (message.$typeName === 'envoy.config.cluster.v3.Cluster')
    return [message.transportSocket, ...message.transportSocketMatches.map(({ transportSocket }) => transportSocket)];
  const chains: (FilterChain | undefined)[] = [...message.filterChains, message.defaultFilterChain];
  return chains.map((chain) => chain?.transportSocket);
}

/** Those that have another source (a file, an agent) are not the control plane's. */
function namesIn(socket: TransportSocket | undefined): string[] {
  return secretsOf(socket).flatMap(({ name, sdsConfig }) => {
    const source = sdsConfig?.configSourceSpecifier.case;
    return source === 'ads' || source === 'self' ? [name] : [];
  });
}
