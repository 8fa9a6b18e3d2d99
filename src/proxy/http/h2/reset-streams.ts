/**
 * The streams that we reset last: what the peer sent on them before it heard of it is no error, and is dropped (RFC 9113 §5.4.2). For streams that were reset
 * longer ago than that, it is one.
 */

/** As many as may run at a time by default. */
const KEPT = 1024;

export class ResetStreams {
  readonly #ids = new Set<number>();

  add(id: number): void {
    if (this.#ids.size >= KEPT)
      for (const oldest of this.#ids) {
        this.#ids.delete(oldest);
        break;
      }
    this.#ids.add(id);
  }

  has(id: number): boolean {
    return this.#ids.has(id);
  }
}
