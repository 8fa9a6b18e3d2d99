/** The ConfigMaps of an Istio installation: the MeshConfig, the mesh's networks, and the injector's settings. */
import { isMapping } from '../../api/decode.ts';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import type { ApiClient } from './client.ts';
import { type ClusterObjects, type KindNames, type Listing, notRead } from './cluster-objects.ts';
import { isStatus } from './errors.ts';
import { getPatiently, listObjects } from './list.ts';

export interface IstioMaps {
  /** Where Istio is installed. */
  readonly istioNamespace: string;
  /** Whose MeshConfig counts; undefined for the one without a revision. */
  readonly revision: string | undefined;
}

const MAP: KindNames = { kind: 'ConfigMap', apiVersion: 'v1' };
const MESH = 'istio';
const INJECTOR = 'istio-sidecar-injector';

/**
 * Reads them. The MeshConfig of a revision stands under the name that the one without a revision has, so that nobody else need know of revisions.
 * @throws SallyportError `revision-needed` where there are only MeshConfigs of revisions, and none of them is chosen; `no-revision`
 */
export async function istioMaps(client: ApiClient, objects: ClusterObjects, { istioNamespace, revision }: IstioMaps): Promise<void> {
  const path = `/api/v1/namespaces/${encodeURIComponent(istioNamespace)}/configmaps`;
  const wanted = meshMapName(revision);
  const maps = new Map<string, Record<string, unknown>>();
  try {
    const take = {
      object: (value: Record<string, unknown>) => {
        const name = nameOf(value);
        if (name.startsWith(MESH)) maps.set(name, value);
      },
      restarted: () => maps.clear(),
    };
    await listObjects(client, path, take);
  } catch (error) {
    if (!isStatus(error, 403)) throw error;
    await one(client, path, wanted, istioNamespace, objects, maps);
  }
  const mesh = maps.get(wanted);
  if (!mesh) demandChoice(maps, revision, istioNamespace);
  else objects.put(renamed(mesh), MAP, wanted);
  for (const [name, map] of maps) if (name.startsWith(INJECTOR)) objects.put(map, MAP);
}

/** The ConfigMap that holds the MeshConfig. */
export function meshMapName(revision: string | undefined): string {
  return revision === undefined || revision === 'default' ? MESH : `${MESH}-${revision}`;
}

function renamed(map: Record<string, unknown>): Record<string, unknown> {
  return { ...map, metadata: { ...(map.metadata as object), name: MESH } };
}

/** The same, to be followed. */
export function meshMapListing(objects: ClusterObjects, revision: string | undefined): Listing {
  const name = meshMapName(revision);
  const listing = objects.listing(MAP, name);
  return {
    object: (value) => listing.object(renamed(value)),
    restarted: () => listing.restarted(),
    complete: () => listing.complete(),
    changed: (value) => listing.changed(renamed(value)),
    deleted: (value) => listing.deleted(renamed(value)),
  };
}

/** Where maps may not be listed, one may be read by its name. */
async function one(
  client: ApiClient,
  path: string,
  name: string,
  namespace: string,
  objects: ClusterObjects,
  maps: Map<string, Record<string, unknown>>,
): Promise<void> {
  try {
    const value = await getPatiently(client, `${path}/${encodeURIComponent(name)}`);
    if (isMapping(value)) maps.set(name, value);
  } catch (error) {
    if (isStatus(error, 404)) return;
    if (!isStatus(error, 403)) throw error;
    const message = `the mesh's settings can't be read, and Istio's defaults are taken in their place. Let this user get configmaps ${name} in ${namespace}, or say --mesh-config. ${messageOf(error)}`;
    objects.report('mesh', [notRead('ConfigMap', message, { namespace, name })]);
  }
}

function demandChoice(maps: ReadonlyMap<string, Record<string, unknown>>, revision: string | undefined, namespace: string): void {
  const revisions = [...maps].flatMap(([name, { data }]) =>
    name.startsWith(`${MESH}-`) && isMapping(data) && 'mesh' in data ? [name.slice(MESH.length + 1)] : [],
  );
  const there = revisions.length > 0 ? `there are ${revisions.sort().join(', ')}` : 'there is no ConfigMap with a MeshConfig';
  if (revision !== undefined) throw new SallyportError('no-revision', `${namespace} has no MeshConfig of revision ${revision}: ${there}`);
  if (revisions.length > 0)
    throw new SallyportError('revision-needed', `${namespace} has MeshConfigs of revisions alone: say --revision; ${there}`);
}

function nameOf({ metadata }: Record<string, unknown>): string {
  return isMapping(metadata) && typeof metadata.name === 'string' ? metadata.name : '';
}
