/** A cache of values that can be made again: it keeps the `capacity` most recently used ones. */
export class Recent<K, V extends object> {
  readonly #capacity: number;
  /** In the order of their last use. */
  readonly #values = new Map<K, V>();
  #last: { readonly key: K; readonly value: V } | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The cached value of `key`; looking does not count as a use. */
  peek(key: K): V | undefined {
    return this.#last?.key === key ? this.#last.value : this.#values.get(key);
  }

  get(key: K, make: () => V): V {
    if (this.#last?.key === key) return this.#last.value;
    const known = this.#values.get(key);
    if (known) this.#values.delete(key);
    const value = known ?? make();
    this.#values.set(key, value);
    this.#last = { key, value };
    if (this.#values.size > this.#capacity) {
      const [oldest] = this.#values.keys();
      this.#values.delete(oldest!);
    }
    return value;
  }
}
