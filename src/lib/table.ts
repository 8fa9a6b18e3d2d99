/**
 * Tables that are asked with keys from outside. An object literal answers `constructor` and `toString` as well, with what every object inherits: whoever asks it
 * with a key that somebody else wrote takes that for an entry. `scripts/lint/table.grit` has them made here.
 */

/** A table that has its own entries and no others: any other key is undefined. */
export function table<V>(entries: Readonly<Record<string, V>>): Readonly<Record<string, V>> {
  return Object.freeze(Object.assign(Object.create(null) as Record<string, V>, entries));
}

/** The entry of an object whose keys are known, by a key that may be another; undefined if it is. */
export function own<T extends object>(entries: T, key: string | undefined): T[keyof T] | undefined {
  return key !== undefined && Object.hasOwn(entries, key) ? entries[key as keyof T] : undefined;
}
