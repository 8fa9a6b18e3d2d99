/** How much body the peer may still send, of a stream or of a connection (RFC 9113 §5.2). */
export class ReceiveWindow {
  readonly #size: number;
  #left: number;
  /** Bytes that were dealt with and are not given back yet. */
  #done = 0;

  /** `size`: bytes that the peer may send at first, and again once they are dealt with. */
  constructor(size: number) {
    this.#size = size;
    this.#left = size;
  }

  /** Bytes came; false where they are more than the peer might send. */
  take(bytes: number): boolean {
    this.#left -= bytes;
    return this.#left >= 0;
  }

  /** Bytes are dealt with. Returns by how much the window is to be updated: 0 until it is worth a frame. */
  give(bytes: number): number {
    this.#done += bytes;
    if (this.#done * 2 < this.#size) return 0;
    const update = this.#done;
    this.#left += update;
    this.#done = 0;
    return update;
  }
}
