/** Resources by kind and name. A kind of which nothing changed has the same table in the next snapshot. */
import type { Kind, ResourceOf } from '../api/index.ts';
import { keepList } from '../lib/same.ts';

export type Tables = ReadonlyMap<Kind, KindTable>;

/** The resources of one kind; an index of their names is made when first asked for. */
export class KindTable {
  readonly list: readonly ResourceOf<Kind>[];
  #byName: Map<string, Map<string, ResourceOf<Kind>>> | undefined;

  constructor(list: readonly ResourceOf<Kind>[]) {
    this.list = list;
  }

  get(namespace: string, name: string): ResourceOf<Kind> | undefined {
    this.#byName ??= indexByName(this.list);
    return this.#byName.get(namespace)?.get(name);
  }
}

function indexByName(list: readonly ResourceOf<Kind>[]): Map<string, Map<string, ResourceOf<Kind>>> {
  const index = new Map<string, Map<string, ResourceOf<Kind>>>();
  for (const resource of list) {
    const { namespace, name } = resource.metadata;
    let names = index.get(namespace);
    if (!names) {
      names = new Map();
      index.set(namespace, names);
    }
    names.set(name, resource);
  }
  return index;
}

/** @param before tables to share what did not change with */
export function tablesOf(resources: readonly ResourceOf<Kind>[], before: Tables | undefined): Tables {
  const lists = new Map<Kind, ResourceOf<Kind>[]>();
  for (const resource of resources) {
    const list = lists.get(resource.kind);
    if (list) list.push(resource);
    else lists.set(resource.kind, [resource]);
  }
  const tables = new Map<Kind, KindTable>();
  for (const [kind, list] of lists) {
    const known = before?.get(kind);
    tables.set(kind, known && keepList(known.list, list) === known.list ? known : new KindTable(list));
  }
  return tables;
}

const NONE: readonly never[] = [];

export function listIn<K extends Kind>(tables: Tables, kind: K): readonly ResourceOf<K>[] {
  return (tables.get(kind)?.list ?? NONE) as unknown as readonly ResourceOf<K>[];
}

export function getIn<K extends Kind>(tables: Tables, kind: K, namespace: string, name: string): ResourceOf<K> | undefined {
  return tables.get(kind)?.get(namespace, name) as ResourceOf<K> | undefined;
}
