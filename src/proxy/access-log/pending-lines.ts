/**
 * Lines that wait to be written, as bytes. Each is encoded when it comes: it is still in the processor's cache then, and the dozens of pieces that it is
 * joined of are garbage at once, where lines that wait as text are copied by each collection.
 */

/** Bytes; what comes while this much is written finds room in another of the same size. */
const CHUNK = 128 * 1024;
/** Most bytes of a character of a string in UTF-8. */
const WIDEST = 3;

export class PendingLines {
  #chunk: Buffer = EMPTY;
  #used = 0;
  readonly #full: Buffer[] = [];
  /** Has been written, and is filled next. */
  #spare: Buffer | undefined;
  count = 0;
  /** In bytes. */
  size = 0;

  add(line: string): void {
    if (this.#used + line.length * WIDEST > this.#chunk.length) this.#turn(line.length * WIDEST);
    const length = this.#chunk.write(line, this.#used);
    this.#used += length;
    this.size += length;
    this.count++;
  }

  /** All of them; `written` takes the memory back. */
  take(): Buffer {
    const last = this.#chunk.subarray(0, this.#used);
    const bytes = this.#full.length === 0 ? last : Buffer.concat([...this.#full, last]);
    this.#full.length = 0;
    this.#chunk = EMPTY;
    this.#used = 0;
    this.count = 0;
    this.size = 0;
    return bytes;
  }

  /** Nobody reads any more what `take` gave. */
  written(bytes: Buffer): void {
    if (bytes.buffer.byteLength === CHUNK) this.#spare = Buffer.from(bytes.buffer);
  }

  #turn(atLeast: number): void {
    if (this.#used > 0) this.#full.push(this.#chunk.subarray(0, this.#used));
    this.#chunk = (atLeast <= CHUNK && this.#spare) || Buffer.allocUnsafeSlow(Math.max(CHUNK, atLeast));
    this.#spare = undefined;
    this.#used = 0;
  }
}

const EMPTY = Buffer.alloc(0);
