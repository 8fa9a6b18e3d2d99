/** Which names the configuration mentions: all others are alike to whoever compares them with it. */
import type { Kind, ResourceOf } from '../api/index.ts';
import { type Snapshot, withObjects } from '../config/snapshot.ts';
import type { Mesh } from '../translate/model.ts';

/**
 * The words in the values of what translation reads of a mesh, fields' names aside: whole values, and the parts of those that are put together
 * (`namespace/host`, `service.namespace.svc`, lists with commas).
 */
export class Mentions {
  /** The mesh, for those who are to be watched reading it. */
  readonly mesh: Mesh;
  readonly #given: Mesh;
  #words: Set<string> | undefined;
  /** Kinds that were read, and whose words have still to be taken. */
  readonly #unread = new Set<Kind>();
  readonly #read = new Set<Kind>();

  constructor(mesh: Mesh) {
    this.#given = mesh;
    this.mesh = { ...mesh, snapshot: this.#watched(mesh.snapshot) };
  }

  /** Whether anything that was read so far says the word. */
  has(word: string): boolean {
    const { config, registry, snapshot } = this.#given;
    if (!this.#words) {
      this.#words = new Set();
      take(config, this.#words);
      for (const { resource } of registry.services) takeResource(resource, this.#words);
    }
    for (const kind of this.#unread) for (const resource of snapshot.list(kind)) takeResource(resource, this.#words);
    this.#unread.clear();
    return this.#words.has(word.toLowerCase());
  }

  #watched(snapshot: Snapshot): Snapshot {
    const note = (kind: Kind) => {
      if (!this.#read.has(kind)) this.#unread.add(kind);
      this.#read.add(kind);
    };
    return withObjects(snapshot, {
      list<K extends Kind>(kind: K): readonly ResourceOf<K>[] {
        note(kind);
        return snapshot.list(kind);
      },
      get<K extends Kind>(kind: K, namespace: string, name: string): ResourceOf<K> | undefined {
        note(kind);
        return snapshot.get(kind, namespace, name);
      },
      all: () => snapshot.all(),
    });
  }
}

function takeResource({ metadata, spec }: { readonly metadata: unknown; readonly spec: unknown }, words: Set<string>): void {
  take(metadata, words);
  take(spec, words);
}

function take(value: unknown, words: Set<string>): void {
  if (typeof value === 'string') {
    const text = value.toLowerCase();
    words.add(text);
    for (const word of text.split(/[^\w-]+/)) words.add(word);
  } else if (Array.isArray(value)) {
    for (const item of value) take(item, words);
  } else if (typeof value === 'object' && value !== null) {
    for (const field of Object.values(value)) take(field, words);
  }
}
