/**
 * Weighted round robin by earliest deadline first, as Envoy's: each item is due again 1/weight after it was taken. O(log n) a choice; items of equal
 * weight go round in order.
 */
export class Rotation<T> {
  readonly #heap: { readonly item: T; readonly step: number; due: number; order: number }[];
  #next: number;
  readonly #equal: boolean;

  /** `weight` is positive. `start` in [0, 1): where the round begins, so that many proxies do not all begin with the same item. */
  constructor(items: readonly T[], weight: (item: T) => number, start: number) {
    const first = Math.floor(start * items.length);
    const turned = [...items.slice(first), ...items.slice(0, first)];
    this.#heap = turned.map((item, order) => ({ item, step: 1 / weight(item), due: 1 / weight(item), order }));
    this.#equal = this.#heap.every(({ step }) => step === this.#heap[0]?.step);
    this.#next = 0;
    if (!this.#equal) for (let i = this.#heap.length >> 1; i >= 0; i--) this.#sink(i);
  }

  get size(): number {
    return this.#heap.length;
  }

  /** The next item; undefined if there are none. */
  take(): T | undefined {
    const heap = this.#heap;
    if (this.#equal) {
      if (this.#next >= heap.length) this.#next = 0;
      return heap[this.#next++]?.item;
    }
    const top = heap[0]!;
    top.due += top.step;
    top.order += heap.length;
    this.#sink(0);
    return top.item;
  }

  #before(a: number, b: number): boolean {
    const x = this.#heap[a]!;
    const y = this.#heap[b]!;
    return x.due < y.due || (x.due === y.due && x.order < y.order);
  }

  #sink(index: number): void {
    const heap = this.#heap;
    for (let i = index; ; ) {
      const left = 2 * i + 1;
      let least = i;
      if (left < heap.length && this.#before(left, least)) least = left;
      if (left + 1 < heap.length && this.#before(left + 1, least)) least = left + 1;
      if (least === i) return;
      [heap[i], heap[least]] = [heap[least]!, heap[i]!];
      i = least;
    }
  }
}
