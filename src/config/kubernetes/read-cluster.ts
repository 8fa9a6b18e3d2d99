/** A cluster read once: every object that counts, and what of it can't be read. */
import { isMapping } from '../../api/decode.ts';
import { DEFAULT_REVISION } from '../../api/injection.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Finding } from '../../lib/finding.ts';
import { table } from '../../lib/table.ts';
import type { ClusterAccess } from './access.ts';
import { ApiClient } from './client.ts';
import { ClusterObjects, type KindNames, keyOf, notRead } from './cluster-objects.ts';
import { isStatus } from './errors.ts';
import { type IstioMaps, istioMaps } from './istio-maps.ts';
import { getPatiently, listObjects } from './list.ts';
import { type Reference, referencesIn } from './references.ts';
import { discover, isDefined, type ServedKind } from './served-kinds.ts';

export interface ReadClusterOptions extends IstioMaps {
  /** The namespaces to read where those of all may not be; empty for none. */
  readonly namespaces: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** Lists that are on their way at once: an API server lets one client have about so many before it makes it wait. */
const AT_ONCE = 6;

/**
 * Reads a cluster. What this user may not read is a finding of the snapshot (SP0016).
 * @throws SallyportError `cluster-unreachable`, `cluster-unauthorized` and the like; `revision-needed` where it is not clear which mesh is meant
 */
export async function readCluster(access: ClusterAccess, options: ReadClusterOptions): Promise<ClusterObjects> {
  const client = new ApiClient(access);
  try {
    const objects = new ClusterObjects(undefined, true, options.revision || DEFAULT_REVISION);
    const kinds = await discover(client, options.signal);
    await atMost(AT_ONCE, kinds, (kind) => readKind(client, kind, objects, options));
    await istioMaps(client, objects, options);
    await atMost(AT_ONCE, referencesIn(objects.snapshot()), (reference) => readReference(client, reference, objects));
    return objects;
  } finally {
    client.close();
  }
}

/** CRDs are as large as hundreds of other objects. */
export const PAGES: Readonly<Record<string, number>> = table({ CustomResourceDefinition: 50 });

async function readKind(client: ApiClient, kind: ServedKind, objects: ClusterObjects, options: ReadClusterOptions): Promise<void> {
  const list = async (path: string) => {
    const listing = objects.listing(kind);
    await listObjects(client, path, listing, { signal: options.signal, limit: PAGES[kind.kind] });
    listing.complete();
  };
  try {
    await list(kind.path);
  } catch (error) {
    // Its CRD has gone since it was asked which kinds there are.
    if (isStatus(error, 404) && !(await isDefined(client, kind.resource))) return;
    if (!isStatus(error, 403)) throw error;
    const { pathIn } = kind;
    const namespaces = pathIn ? options.namespaces : [];
    for (const namespace of namespaces) {
      try {
        await list(pathIn!(namespace));
      } catch (inner) {
        if (!isStatus(inner, 403)) throw inner;
      }
    }
    objects.report(kind.resource, [kindForbidden(kind, messageOf(error), namespaces)]);
  }
}

/** That a kind may not be read, what follows from it, and which permission is missing. */
export function kindForbidden({ kind, resource, decidesCalls }: ServedKind, said: string, namespaces: readonly string[] = []): Finding {
  const read = namespaces.length > 0 ? `outside of ${namespaces.join(', ')} ` : '';
  const effect = decidesCalls
    ? `what there is of them ${read}is not known, answers leave it out, and findings that miss one may be wrong`
    : 'checks of them are left out';
  const mend = `Let this user list ${resource} in all namespaces (a ClusterRole with the verb list), or ask as one who may`;
  return notRead(kind, `${resource} can't be read: ${effect}. ${mend}. ${said}`, {}, decidesCalls ? 'Error' : 'Warning');
}

async function readReference(client: ApiClient, { kind, namespace, name }: Reference, objects: ClusterObjects): Promise<void> {
  const resource = kind === 'Secret' ? 'secrets' : 'configmaps';
  const names: KindNames = { kind, apiVersion: 'v1' };
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/${resource}/${encodeURIComponent(name)}`;
  try {
    const value = await getPatiently(client, path);
    if (isMapping(value)) objects.put(value, names);
  } catch (error) {
    if (isStatus(error, 404)) return;
    if (!isStatus(error, 403)) throw error;
    objects.report(keyOf(names, namespace, name), [referenceForbidden({ kind, namespace, name }, messageOf(error))]);
  }
}

/** The same of one object. */
export function referenceForbidden({ kind, namespace, name }: Reference, said: string): Finding {
  const resource = kind === 'Secret' ? 'secrets' : 'configmaps';
  const message = `it can't be read, and whether it is there and what it holds is not known. Let this user get, list and watch ${resource} ${name} in ${namespace}. ${said}`;
  return notRead(kind, message, { namespace, name });
}

/** Runs for each, so many at once; the first error ends it. */
async function atMost<T>(count: number, list: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...list];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await run(item);
  };
  await Promise.all(Array.from({ length: count }, worker));
}
