/** Keeping what did not change: what says the same as before stays the same object. */
import { Redacted } from './redacted.ts';

/** `before` where it has the very members of `after`, in the same order; else `after`. */
export function keepList<T>(before: readonly T[] | undefined, after: readonly T[]): readonly T[] {
  return before && sameMembers(before, after) ? before : after;
}

/** Whether the lists have the same members in the same order, objects being the same where they are one object. */
export function sameMembers<T>(a: readonly T[], b: readonly T[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** `before` where it says the same as `after`; else `after`, in which the items of `before` stand that say the same. */
export function keepContent<T>(before: readonly T[] | undefined, after: readonly T[]): readonly T[] {
  if (!before) return after;
  return keepList(
    before,
    after.map((item, index) => (index < before.length && sameContent(before[index], item) ? before[index]! : item)),
  );
}

/**
 * Whether two values of plain objects, lists and primitives say the same. The order of keys counts, since what is made of an object may keep it;
 * objects of classes (bytes that are redacted aside), and what symbols name, are the same if they are identical.
 */
export function sameContent(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => sameContent(item, b[index]));
  }
  if (a instanceof Redacted) return b instanceof Redacted && a.equals(b);
  if (!isPlain(a) || !isPlain(b)) return false;
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  if (keys.length !== others.length) return false;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (key !== others[i] || !sameContent(a[key], b[key])) return false;
  }
  const [symbols, otherSymbols] = [Object.getOwnPropertySymbols(a), Object.getOwnPropertySymbols(b)];
  return symbols.length === otherSymbols.length && symbols.every((symbol) => a[symbol] === b[symbol]);
}

function isPlain(value: object): value is Record<string | symbol, unknown> {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
