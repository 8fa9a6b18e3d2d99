/** As `map`, but items of one group are worked on after one another: for work that shares what a group needs. The results keep the items' order. */
export function mapGrouped<T, R>(items: readonly T[], groupOf: (item: T) => unknown, map: (item: T) => R): R[] {
  const results = new Map<T, R>();
  for (const group of Map.groupBy(items, groupOf).values()) for (const item of group) results.set(item, map(item));
  return items.map((item) => results.get(item)!);
}
