/** What a derivation read of the objects, to tell whether it would come to the same with others. */
import type { Kind, ResourceOf } from '../api/index.ts';
import type { Objects } from './model.ts';

/** Whether the objects are, as far as this one read goes, what they were. */
type Read = (objects: Objects) => boolean;

export type Reads = ReadonlyMap<string, Read>;

/** The objects, and the reads that are made of them from now on. Lists and objects are compared by identity: who builds them keeps what did not change. */
export function recordingReads(objects: Objects): { readonly objects: Objects; readonly reads: Reads } {
  const reads = new Map<string, Read>();
  return {
    reads,
    objects: {
      complete: objects.complete,
      list<K extends Kind>(kind: K) {
        const list = objects.list(kind);
        if (!reads.has(kind)) reads.set(kind, (next) => next.list(kind) === list);
        return list;
      },
      get<K extends Kind>(kind: K, namespace: string, name: string): ResourceOf<K> | undefined {
        const resource = objects.get(kind, namespace, name);
        const key = `${kind}/${namespace}/${name}`;
        if (!reads.has(key)) reads.set(key, (next) => next.get(kind, namespace, name) === resource);
        return resource;
      },
    },
  };
}

export function wouldReadTheSame(reads: Reads, objects: Objects): boolean {
  for (const read of reads.values()) if (!read(objects)) return false;
  return true;
}
