/** By name; of several under one name the first stays. */
export function sortedByName<T>(list: readonly T[], nameOf: (item: T) => string): readonly T[] {
  const byName = new Map<string, T>();
  for (const item of list) if (!byName.has(nameOf(item))) byName.set(nameOf(item), item);
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
}
