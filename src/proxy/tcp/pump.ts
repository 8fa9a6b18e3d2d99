/**
 * One direction of a byte stream. Reads go into one buffer that grows while they fill it; a write that the kernel does not take at once stops the reading until
 * it is done, so a stream holds one buffer a direction, and the rest of the backpressure is TCP's.
 */
import type { OnReadOpts, Socket } from 'node:net';

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

export class Pump {
  bytes = 0;
  /** Called before each piece goes out. */
  #to: Socket | undefined;
  #from: Socket | undefined;
  #buffer: Buffer | undefined;
  #filled = false;
  #small = 0;
  #stalled = false;
  #inRow = 0;
  /** Bytes that came before there was somewhere to write them. */
  #early: Buffer[] = [];
  readonly #written = (): void => this.#onWritten();

  /** What a socket needs that is made to read into this pump; `start` comes later. */
  readonly onread: OnReadOpts = {
    buffer: () => this.#next(),
    callback: (length, buffer) => this.#received(length, buffer),
  };

  /** Connects the two ends; `head` goes first. */
  start(from: Socket, to: Socket, head: Buffer | undefined): void {
    this.#from = from;
    this.#to = to;
    const early = head ? [head, ...this.#early] : this.#early;
    this.#early = [];
    for (const piece of early) this.#write(piece);
  }

  /** For sockets that cannot read into a buffer of ours (TLS). */
  readEvents(from: Socket): void {
    from.on('data', (piece: Buffer) => {
      if (!this.#write(piece)) from.pause();
    });
    from.resume();
  }

  #next(): Buffer {
    const size = this.#buffer?.length ?? 0;
    if (size === 0) this.#buffer = Buffer.allocUnsafeSlow(SMALL);
    else if (this.#filled && size < LARGE) this.#buffer = Buffer.allocUnsafeSlow(size === SMALL ? LARGE / 4 : LARGE);
    else if (this.#small >= SHRINK_AFTER && !this.#stalled) this.#buffer = Buffer.allocUnsafeSlow(SMALL);
    else return this.#buffer!;
    this.#small = 0;
    this.#filled = false;
    return this.#buffer;
  }

  #received(length: number, buffer: Uint8Array): boolean {
    this.#filled = length === buffer.length;
    if (buffer.length > SMALL && length < SMALL) this.#small++;
    else this.#small = 0;
    const piece = Buffer.from(buffer.buffer, buffer.byteOffset, length);
    if (!this.#to) {
      // Whoever speaks before the other side is there is heard once, and waits.
      this.#early.push(Buffer.from(piece));
      this.#stalled = true;
      return false;
    }
    if (!this.#write(piece)) return false;
    this.#inRow += length;
    if (this.#inRow < TURN) return true;
    this.#inRow = 0;
    setImmediate(this.#readOn);
    return false;
  }

  readonly #readOn = (): void => {
    if (!this.#stalled && this.#from && !this.#from.destroyed) this.#from.resume();
  };

  /** False: nothing more may be read until the piece is out. */
  #write(piece: Buffer): boolean {
    const to = this.#to!;
    this.bytes += piece.length;
    if (to.destroyed || to.writableEnded) return true;
    to.write(piece, this.#written);
    this.#stalled = to.writableLength > 0;
    return !this.#stalled;
  }

  #onWritten(): void {
    if (!this.#stalled || !this.#to || this.#to.writableLength > 0) return;
    this.#stalled = false;
    if (this.#from && !this.#from.destroyed) this.#from.resume();
  }
}
