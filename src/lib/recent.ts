/** Values that can be made anew: those asked for last are kept, `capacity` of them. */
export class Recent<K, V extends object> {
  readonly #capacity: number;
  /** In the order of their last use. */
  readonly #values = new Map<K, V>();
  #last: { readonly key: K; readonly value: V } | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** What is kept for `key`; its place among the others stays. */
  peek(key: K): V | undefined {
    return this.#values.get(key);
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
