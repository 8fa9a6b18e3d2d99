/** Which kinds are read of a cluster, and under which paths its API server has them (discovery). */
import { isMapping } from '../../api/decode.ts';
import { KINDS, type Kind, type KindInfo } from '../../api/index.ts';
import { UNREAD_KINDS } from '../../api/unserved.ts';
import type { ApiClient } from './client.ts';
import { isStatus } from './errors.ts';

/** Kinds that are not listed: nobody reads them, or those that count are asked for by name. EndpointSlices say what Endpoints do. */
const NOT_LISTED: ReadonlySet<Kind> = new Set(['Endpoints', 'ServiceAccount', 'Secret', 'ConfigMap']);

/** Kinds that analysis alone looks at: no call ends otherwise because of them. */
const ANALYSED_ONLY: ReadonlySet<string> = new Set([
  'CustomResourceDefinition',
  'MutatingWebhookConfiguration',
  'ValidatingWebhookConfiguration',
]);

/** Groups of kinds that are not read and change calls: what there is of them is said. */
const UNREAD_GROUPS = [
  { group: 'extensions.istio.io', versions: ['v1alpha1'] },
  { group: 'gateway.networking.x-k8s.io', versions: ['v1alpha1'] },
  { group: 'gateway.networking.k8s.io', versions: ['v1', 'v1alpha2'] },
] as const;

/** A kind as an API server has it. */
export interface ServedKind {
  /** As documents call it. */
  readonly kind: string;
  /** `GROUP/VERSION`, or the version alone. */
  readonly apiVersion: string;
  /** `virtualservices.networking.istio.io`: as permissions name it. */
  readonly resource: string;
  /** Of all objects in all namespaces. */
  readonly path: string;
  /** Of the objects of one namespace; undefined for cluster-scoped kinds. */
  readonly pathIn: ((namespace: string) => string) | undefined;
  /** Whether calls may end otherwise because of its objects. */
  readonly decidesCalls: boolean;
}

interface Wanted {
  readonly group: string;
  /** The best one first. */
  readonly versions: readonly string[];
  readonly kind: string;
}

function wantedKinds(): Wanted[] {
  const read = (Object.keys(KINDS) as Kind[])
    .filter((name) => !NOT_LISTED.has(name))
    .map((name): Wanted => {
      const { group, versions, name: written }: KindInfo = KINDS[name];
      return { group, versions, kind: written ?? name };
    });
  const unread = UNREAD_GROUPS.flatMap(({ group, versions }) => [...UNREAD_KINDS.keys()].map((kind) => ({ group, versions, kind })));
  return [...read, ...unread];
}

/** The kinds that are read and served, in the best version that both sides have. A kind whose CRD is absent is not among them. */
export async function discover(client: ApiClient, signal?: AbortSignal): Promise<ServedKind[]> {
  const wanted = wantedKinds();
  const names = new Set(wanted.flatMap(({ group, versions }) => versions.map((version) => groupVersion(group, version))));
  const lists = new Map<string, Promise<readonly Served[]>>();
  for (const name of names) lists.set(name, servedIn(client, name, signal));
  await Promise.all(lists.values());
  const found = await Promise.all(
    wanted.map(async ({ group, versions, kind }): Promise<ServedKind | undefined> => {
      for (const version of versions) {
        const apiVersion = groupVersion(group, version);
        const served = (await lists.get(apiVersion)!).find((each) => each.kind === kind);
        if (served) return servedKind(kind, group, apiVersion, served);
      }
      return undefined;
    }),
  );
  return found.filter((each) => each !== undefined);
}

/** One resource of a group's version, as `APIResourceList` has it. */
interface Served {
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

async function servedIn(client: ApiClient, name: string, signal: AbortSignal | undefined): Promise<readonly Served[]> {
  let answer: unknown;
  try {
    answer = await client.get(rootOf(name), signal);
  } catch (error) {
    if (isStatus(error, 404)) return [];
    throw error;
  }
  const resources = isMapping(answer) && Array.isArray(answer.resources) ? answer.resources : [];
  return resources.filter(isMapping).flatMap(({ kind, name: plural, namespaced, verbs }) => {
    const listable = Array.isArray(verbs) && verbs.includes('list');
    if (typeof kind !== 'string' || typeof plural !== 'string' || !listable) return [];
    return [{ kind, plural, namespaced: namespaced === true }];
  });
}

/** Whether a CRD says that there is the kind. An API server that starts does not serve yet what is defined: only what is not defined is gone. */
export async function isDefined(client: ApiClient, resource: string): Promise<boolean> {
  try {
    const answer = await client.get(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${resource}`);
    return !(isMapping(answer) && isMapping(answer.metadata) && answer.metadata.deletionTimestamp !== undefined);
  } catch (error) {
    return !isStatus(error, 404);
  }
}

function servedKind(kind: string, group: string, apiVersion: string, { plural, namespaced }: Served): ServedKind {
  const root = rootOf(apiVersion);
  return {
    kind,
    apiVersion,
    resource: group === '' ? plural : `${plural}.${group}`,
    path: `${root}/${plural}`,
    pathIn: namespaced ? (namespace) => `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}` : undefined,
    decidesCalls: !ANALYSED_ONLY.has(kind),
  };
}

function groupVersion(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`;
}

function rootOf(apiVersion: string): string {
  return apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}
