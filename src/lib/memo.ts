import { sameMembers } from './same.ts';

/**
 * Results of pure functions, kept by what they were made from: objects by identity, strings and numbers by value. A result is held by its first key,
 * and each object among the keys holds what follows: it goes when one of them goes.
 */
export class Memo<T> {
  readonly #root = emptyBranch<T>();

  /**
   * What was made for the same keys, if all of `inputs` are what they were then; else what `make` makes. Keys tell apart what is in use at the same
   * time. They go from what many results share to what few do, which keeps the tables few. Of `inputs`, which are compared one by one, only the last
   * are remembered. `make` may read nothing else that changes.
   */
  get(keys: readonly [object, ...Key[]], inputs: readonly unknown[], make: () => T): T {
    let branch = this.#root;
    for (const key of keys) branch = next(branch, key);
    if (branch.inputs && sameMembers(branch.inputs, inputs)) return branch.result as T;
    const result = make();
    branch.inputs = inputs;
    branch.result = result;
    return result;
  }
}

export type Key = object | string | number | boolean;

interface Branch<T> {
  objects: WeakMap<object, Branch<T>> | undefined;
  values: Map<Key, Branch<T>> | undefined;
  /** Undefined where nothing is kept. */
  inputs: readonly unknown[] | undefined;
  result: T | undefined;
}

function emptyBranch<T>(): Branch<T> {
  return { objects: undefined, values: undefined, inputs: undefined, result: undefined };
}

function next<T>(branch: Branch<T>, key: Key): Branch<T> {
  return typeof key === 'object' ? nextByIdentity(branch, key) : nextByValue(branch, key);
}

function nextByIdentity<T>(branch: Branch<T>, key: object): Branch<T> {
  branch.objects ??= new WeakMap();
  let found = branch.objects.get(key);
  if (!found) {
    found = emptyBranch();
    branch.objects.set(key, found);
  }
  return found;
}

function nextByValue<T>(branch: Branch<T>, key: Key): Branch<T> {
  branch.values ??= new Map();
  let found = branch.values.get(key);
  if (!found) {
    found = emptyBranch();
    branch.values.set(key, found);
  }
  return found;
}

/** Inputs of what follows from its keys alone. */
export const NO_INPUTS: readonly unknown[] = [];
