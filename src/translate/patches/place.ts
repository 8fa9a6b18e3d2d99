/** Where patches put filters into a list. */
import type { Operation } from './patch.ts';

/** The list with the filter added, inserted, replaced or removed; `named`: what the patch looks for, undefined for the list's ends. */
export function placed<T extends { readonly name: string }>(
  list: readonly T[],
  operation: Operation,
  filter: T,
  named: string | undefined,
): readonly T[] {
  const at = list.findIndex(({ name }) => name === named);
  switch (operation) {
    case 'ADD':
      return [...list, filter];
    case 'INSERT_FIRST':
      return [filter, ...list];
    case 'INSERT_BEFORE':
      return named === undefined ? [filter, ...list] : at < 0 ? list : list.toSpliced(at, 0, filter);
    case 'INSERT_AFTER':
      return named === undefined ? [...list, filter] : at < 0 ? list : list.toSpliced(at + 1, 0, filter);
    case 'REPLACE':
      return at < 0 ? list : list.with(at, filter);
    case 'REMOVE':
      return list.filter(({ name }) => name !== named);
    default:
      return list;
  }
}
