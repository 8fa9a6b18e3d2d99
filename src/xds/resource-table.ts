/** Encoded resources by `type/name`, in one list a type: what has not changed of a type is told by its list, without a look at each resource. */
import type { EncodedResource, ResourceType } from './resources.ts';

/** The resources of one type; immutable. */
export class EncodedList {
  readonly type: ResourceType;
  readonly all: readonly EncodedResource[];
  #byName: ReadonlyMap<string, EncodedResource> | undefined;

  constructor(type: ResourceType, all: readonly EncodedResource[]) {
    this.type = type;
    this.all = all;
  }

  get(name: string): EncodedResource | undefined {
    this.#byName ??= new Map(this.all.map((resource) => [resource.name, resource]));
    return this.#byName.get(name);
  }
}

/** The lists in the order in which their resources are met. */
export class ResourceTable implements ReadonlyMap<string, EncodedResource> {
  readonly lists: readonly EncodedList[];
  readonly size: number;

  constructor(lists: readonly EncodedList[]) {
    this.lists = lists;
    this.size = lists.reduce((sum, { all }) => sum + all.length, 0);
  }

  get(key: string): EncodedResource | undefined {
    const slash = key.indexOf('/');
    const type = key.slice(0, slash);
    return this.lists.find((list) => list.type === type)?.get(key.slice(slash + 1));
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  *values(): MapIterator<EncodedResource> {
    for (const { all } of this.lists) yield* all;
  }

  *entries(): MapIterator<[string, EncodedResource]> {
    for (const resource of this.values()) yield [`${resource.type}/${resource.name}`, resource];
  }

  *keys(): MapIterator<string> {
    for (const [key] of this.entries()) yield key;
  }

  [Symbol.iterator](): MapIterator<[string, EncodedResource]> {
    return this.entries();
  }

  forEach(visit: (resource: EncodedResource, key: string, map: ReadonlyMap<string, EncodedResource>) => void): void {
    for (const [key, resource] of this) visit(resource, key, this);
  }
}
