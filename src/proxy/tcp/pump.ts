/**
 * One direction of a byte stream. Reads go into one buffer that grows while they fill it; a write that the kernel does not take at once stops the reading until
 * it is done, so a stream holds one buffer a direction, and the rest of the backpressure is TCP's.
 */
import type { ByteReader, Transport } from '../net/transport.ts';

/**
 * Bytes: what an idle or chatty connection holds, and what a bulk transfer grows to. 512 KiB cost a fifth less CPU time a GB than 256 KiB; still larger ones
 * save little more.
 */
const SMALL = 8 * 1024;
const LARGE = 512 * 1024;
/** Bytes that a stream reads in a row before other connections have their turn: libuv alone would read 32 times. */
const TURN = 1024 * 1024;
/** After this many small reads in a row a large buffer is given back. */
const SHRINK_AFTER = 32;

export class Pump implements ByteReader {
  bytes = 0;
  #to: Transport | undefined;
  #from: Transport | undefined;
  #buffer: Buffer | undefined;
  #filled = false;
  #small = 0;
  #stalled = false;
  #inRow = 0;

  /** Connects the two ends, and reads; `head` goes first. */
  start(from: Transport, to: Transport, head: Buffer | undefined): void {
    this.#from = from;
    this.#to = to;
    if (!head || this.#write(head)) from.resume();
  }

  buffer(): Buffer {
    const size = this.#buffer?.length ?? 0;
    if (size === 0) this.#buffer = Buffer.allocUnsafeSlow(SMALL);
    else if (this.#filled && size < LARGE) this.#buffer = Buffer.allocUnsafeSlow(size === SMALL ? LARGE / 4 : LARGE);
    else if (this.#small >= SHRINK_AFTER && !this.#stalled) this.#buffer = Buffer.allocUnsafeSlow(SMALL);
    else return this.#buffer!;
    this.#small = 0;
    this.#filled = false;
    return this.#buffer;
  }

  filled(length: number): boolean {
    const buffer = this.#buffer!;
    this.#filled = length === buffer.length;
    if (buffer.length > SMALL && length < SMALL) this.#small++;
    else this.#small = 0;
    if (!this.#write(buffer.subarray(0, length))) return false;
    this.#inRow += length;
    if (this.#inRow < TURN) return true;
    this.#inRow = 0;
    setImmediate(this.#readOn);
    return false;
  }

  took(bytes: Buffer): boolean {
    return this.#write(bytes);
  }

  /** What was written to the other end has gone. */
  drained(): void {
    if (!this.#stalled) return;
    this.#stalled = false;
    this.#from!.resume();
  }

  readonly #readOn = (): void => {
    if (!this.#stalled) this.#from!.readOn();
  };

  /** False: nothing more may be read until the piece is out. */
  #write(piece: Buffer): boolean {
    const to = this.#to!;
    this.bytes += piece.length;
    to.write(piece);
    this.#stalled = to.pending > 0;
    return !this.#stalled;
  }
}
