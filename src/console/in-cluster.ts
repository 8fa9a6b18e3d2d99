/** The console of a controller, for the people of its cluster. */

import type { ClusterAccess } from '../config/kubernetes/access.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { ClusterPeople } from '../control/kubernetes/people.ts';
import type { Controller } from '../control/serving/controller.ts';
import type { MeshCredentials } from '../control/serving/credentials.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import type { Beside } from './beside.ts';
import { liveMesh } from './live.ts';
import { startConsole } from './server.ts';
import { EVERYTHING, sightOf } from './sight.ts';
import { type Know, Visitors } from './visitors.ts';

export interface InClusterOptions {
  readonly control: Pick<Controller, 'report' | 'flows'>;
  /** By which the API server is asked who people are, and what they may see. */
  readonly access: ClusterAccess;
  readonly at: SocketAddress;
  /** Names by which it is called, beside addresses and localhost. */
  readonly hosts: readonly string[];
  /** Undefined at loopback addresses. */
  readonly credentials: MeshCredentials | undefined;
  /** Folder of the pages; without it that of the build. */
  readonly pages?: string;
  /** What was said of somebody is asked again after so long, ms. */
  readonly reviewMs?: number;
  readonly say: (text: string) => void;
}

/** Rejects as `startConsole`. */
export async function consoleInCluster(options: InClusterOptions): Promise<Beside & { readonly port: number }> {
  const { control, access, at, hosts, credentials, pages, reviewMs, say } = options;
  const mesh = liveMesh({
    kind: 'cluster',
    control,
    flows: control.flows?.hub,
    reach: control.flows && (() => control.flows!.reach()),
    paths: [`cluster ${access.name}`],
    meshConfig: undefined,
    edit: false,
    learned: undefined,
  });
  const people = new ClusterPeople(access);
  const namespaces = namespacesOf(() => control.report.mesh.snapshot);
  const know: Know = async (token) => {
    const known = await people.know(token, [...namespaces()]);
    if (!known) return undefined;
    const { name, sees } = known;
    if (sees === 'all') return { name, sight: EVERYTHING };
    return { name, sight: sees.size === 0 ? undefined : sightOf(sees, namespaces) };
  };
  const visitors = new Visitors({ know, ...(reviewMs !== undefined && { reviewMs }) });
  try {
    const served = await startConsole({
      at,
      shown: mesh.shown,
      enter: (url) => say(`console: ${url}, for people with a token of the cluster`),
      visitors,
      hosts,
      tls: credentials?.first,
      ...(pages !== undefined && { pages }),
    });
    credentials?.follow((renewed) => served.setTls(renewed));
    return {
      port: served.port,
      changed: () => {
        mesh.changed();
        served.changed();
      },
      close: async () => {
        await served.close();
        people.close();
      },
    };
  } catch (error) {
    visitors.close();
    people.close();
    throw error;
  }
}

/** The namespaces that there are, and those that an object says it is in: found once for each snapshot. */
function namespacesOf(snapshot: () => Snapshot): () => ReadonlySet<string> {
  let of: Snapshot | undefined;
  let found: ReadonlySet<string> = new Set();
  return () => {
    const now = snapshot();
    if (now === of) return found;
    of = now;
    const named = now.list('Namespace').map(({ metadata }) => metadata.name);
    const used = now.all().map(({ metadata }) => metadata.namespace);
    found = new Set([...named, ...used].filter((name) => name !== ''));
    return found;
  };
}
