/** What leads from one list of resources to another: looked for once, however many streams stand between the same two lists. */
import type { EncodedList } from '../resource-table.ts';
import type { EncodedResource } from '../resources.ts';

export interface Difference {
  /** New ones, and those of another version. */
  readonly changed: readonly EncodedResource[];
  /** Those that are gone, as they were. */
  readonly removed: readonly EncodedResource[];
}

const known = new WeakMap<EncodedList, WeakMap<EncodedList, Difference>>();

export function differenceBetween(before: EncodedList, after: EncodedList): Difference {
  let from = known.get(after);
  if (!from) {
    from = new WeakMap();
    known.set(after, from);
  }
  let found = from.get(before);
  if (!found) {
    found = {
      changed: before.all.length === 0 ? after.all : after.all.filter(({ name, version }) => before.get(name)?.version !== version),
      removed: before.all.filter(({ name }) => !after.get(name)),
    };
    from.set(before, found);
  }
  return found;
}
