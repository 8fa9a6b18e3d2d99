/** Like `map`, but handles the items of a group one after the other, so that they can share what the group needs. Results are in the order of the items. */
export function mapGrouped<T, R>(items: readonly T[], groupOf: (item: T) => unknown, map: (item: T) => R): R[] {
  const results = new Map<T, R>();
  for (const group of Map.groupBy(items, groupOf).values()) for (const item of group) results.set(item, map(item));
  return items.map((item) => results.get(item)!);
}
