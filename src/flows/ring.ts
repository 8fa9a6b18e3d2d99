/** The newest of many: what comes beyond the size takes the place of the oldest. */
export class Ring<T> {
  readonly #size: number;
  readonly #items: T[] = [];
  /** Where the next one goes, once it is full. */
  #next = 0;

  constructor(size: number) {
    this.#size = size;
  }

  add(item: T): void {
    this.#items[this.#next] = item;
    this.#next = (this.#next + 1) % this.#size;
  }

  /** Oldest first. */
  get all(): readonly T[] {
    return [...this.#items.slice(this.#next), ...this.#items.slice(0, this.#next)];
  }
}
