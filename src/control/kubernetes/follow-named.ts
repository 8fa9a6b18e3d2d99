/** Follows the objects of one name: such lists may be read by whoever may read that name alone. */
import { isMapping } from '../../api/decode.ts';
import type { ApiClient } from '../../config/kubernetes/client.ts';
import { reflect } from '../../config/kubernetes/reflector.ts';

export interface NamedObject {
  /** Empty for cluster-scoped kinds. */
  readonly namespace: string;
}

export interface FollowedName {
  /** It is there, or another than it was. */
  present(object: Record<string, unknown>, about: NamedObject): void;
  /** It is not there, as far as is known now: not told of at the beginning. */
  absent(about: NamedObject): void;
  /** The list has been read: what was not told of is not there. */
  complete?(): void;
  /** It can't be read, more than once in a row; it is tried again. */
  failed(error: unknown): void;
}

/** @param path of the list @returns what ends it */
export function followNamed(client: ApiClient, path: string, name: string, told: FollowedName): () => void {
  const abort = new AbortController();
  const there = new Set<string>();
  let listed = new Set<string>();
  let failures = 0;
  const present = (object: Record<string, unknown>) => {
    const about = aboutOf(object);
    there.add(about.namespace);
    listed.add(about.namespace);
    told.present(object, about);
  };
  const absent = (namespace: string) => {
    if (there.delete(namespace)) told.absent({ namespace });
  };
  void reflect(
    client,
    { path, query: { fieldSelector: `metadata.name=${name}` } },
    {
      restarted: () => {
        listed = new Set();
      },
      object: present,
      complete: () => {
        for (const namespace of there) if (!listed.has(namespace)) absent(namespace);
        told.complete?.();
      },
      changed: present,
      deleted: (object) => absent(aboutOf(object).namespace),
      // Connections break off now and then.
      failed: (error) => {
        failures += 1;
        if (failures > 1 && !abort.signal.aborted) told.failed(error);
      },
      following: () => {
        failures = 0;
      },
    },
    abort.signal,
  );
  return () => abort.abort();
}

function aboutOf(object: Record<string, unknown>): NamedObject {
  const { metadata } = object;
  return { namespace: isMapping(metadata) && typeof metadata.namespace === 'string' ? metadata.namespace : '' };
}
