/** What a proposal has to fit: resources that are there already, which declare hosts, use names and ports, and tell who called. */
import type { MeshConfig } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { declaredHost } from '../learn/hosts.ts';
import type { Observation, Observed } from '../learn/observed.ts';
import type { ProposeOptions } from '../learn/propose.ts';
import { hostCovers } from '../lib/hostname.ts';
import { counted } from './learned-text.ts';
import type { Beside } from './proposal.ts';
import { callerByAddress } from './replay.ts';
import { simulateFiles } from './simulated.ts';

export interface Sorted {
  /** The destinations to propose resources for. */
  readonly placed: readonly Observed[];
  /** The destinations that no resource can be proposed for, and why. */
  readonly remarks: readonly string[];
}

/** Leaves out what is declared already: a host must not be declared twice. */
export function sortedOut({ observed }: Observation, snapshot: Snapshot): Sorted {
  const entries = snapshot.list('ServiceEntry');
  const placed: Observed[] = [];
  const remarks: string[] = [];
  for (const one of observed) {
    const host = declaredHost(one.host);
    const covering = entries.filter(({ spec }) => spec.hosts.some((declared) => hostCovers(declared, host)));
    if (covering.some(({ spec }) => spec.ports.some(({ number }) => number === one.port))) continue;
    const same = covering.find(({ spec }) => spec.hosts.includes(host));
    if (!same) placed.push(one);
    else {
      const { namespace, name } = same.metadata;
      remarks.push(
        `not proposed: ${one.host}:${one.port} ${one.protocol}, ${counted(one.count, 'call')}: ServiceEntry ${namespace}/${name} declares this host; add the port, and its route through the gateway, there.`,
      );
    }
  }
  return { placed, remarks };
}

/** The names and ports that are in use. */
export function takenBy(snapshot: Snapshot): NonNullable<ProposeOptions['taken']> {
  const objects = snapshot.all().map(({ kind, metadata: { namespace, name } }) => `${kind} ${namespace}/${name}`);
  const ports = snapshot.list('Gateway').flatMap(({ spec }) => spec.servers.map(({ port }) => port.number));
  return { objects: new Set(objects), ports: new Set(ports) };
}

/**
 * What the files of a proposal say beside it. Calls come from the workloads that have their addresses, and else from `from`, by default a sidecar of
 * the files. `callers` are the namespaces that called a destination; undefined where one of the clients is no workload of the files.
 */
export function besideFiles(
  snapshot: Snapshot,
  mesh: MeshConfig,
  from: string | undefined,
): { readonly beside: Beside; readonly callers: NonNullable<ProposeOptions['callers']> } {
  const { proxies } = simulateFiles(snapshot, mesh);
  const namespaces = new Map(proxies.flatMap((proxy) => proxy.addresses.map((ip) => [ip, proxy.namespace] as const)));
  const anyone = proxies.find(({ type }) => type === 'sidecar');
  const fallback = from ?? (anyone && `${anyone.namespace}/${anyone.name}`);
  return {
    beside: { snapshot, mesh, callerOf: callerByAddress({ proxies }, fallback) },
    callers: (observed) => {
      const all = observed.flatMap(({ clients }) => clients?.map((ip) => namespaces.get(ip)) ?? [undefined]);
      return all.every((one) => one !== undefined) ? all : undefined;
    },
  };
}
