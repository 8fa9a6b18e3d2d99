/**
 * What HTTP/1 connections read into. All of a thread share one buffer: what a read brings is worked off before the next read, so idle connections hold
 * nothing and no read allocates. A connection whose reads fill it gets a larger one of its own for as long as they stay large, and what the kernel takes at
 * once is never copied. Whoever keeps a piece of body beyond the call that brought it asks for it by `own`.
 */
import type { ByteReader, Transport } from './transport.ts';

const SHARED = Buffer.allocUnsafeSlow(64 * 1024);
/** Bytes of a connection's own buffer; half as many cost a quarter more CPU time a GB. */
const OWN = 512 * 1024;
/** After this many reads in a row that the shared buffer would have held, a connection goes back to it. */
const SHRINK_AFTER = 32;

/** Bytes that a connection with a buffer of its own reads in a row before the others have their turn: libuv alone would read 32 times. */
const TURN = 1024 * 1024;

/** The reader whose bytes are being worked off, if they lie in its own buffer. */
let reading: Reader | undefined;

export class Reader implements ByteReader {
  /** What reads into it, once there is one. */
  transport: Transport | undefined = undefined;
  readonly #read: (data: Buffer) => void;
  #own: Buffer | undefined;
  #small = 0;
  #inRow = 0;
  /** Somebody holds bytes of the own buffer: it is not read into again. */
  kept = false;

  constructor(read: (data: Buffer) => void) {
    this.#read = read;
  }

  buffer(): Buffer {
    return this.#own ?? SHARED;
  }

  filled(length: number): boolean {
    const own = this.#own;
    if (own === undefined) {
      this.#read(SHARED.subarray(0, length));
      if (length === SHARED.length) this.#own = Buffer.allocUnsafeSlow(OWN);
      return true;
    }
    reading = this;
    try {
      this.#read(own.subarray(0, length));
    } finally {
      reading = undefined;
    }
    this.#small = length < SHARED.length ? this.#small + 1 : 0;
    if (this.#small >= SHRINK_AFTER || (this.kept && this.#small > 0)) {
      this.#own = undefined;
      this.#small = 0;
    } else if (this.kept) this.#own = Buffer.allocUnsafeSlow(OWN);
    this.kept = false;
    this.#inRow += length;
    if (this.#inRow < TURN || !this.transport) return true;
    this.#inRow = 0;
    setImmediate(this.#readOn);
    return false;
  }

  took(bytes: Buffer): boolean {
    this.#read(bytes);
    return true;
  }

  readonly #readOn = (): void => this.transport?.readOn();

  holds(data: Buffer): boolean {
    return this.#own !== undefined && data.buffer === this.#own.buffer;
  }
}

/** The bytes for as long as anybody wants them: `data` itself, or its copy where its buffer is read into again. */
export function own(data: Buffer): Buffer {
  if (data.buffer === SHARED.buffer) return Buffer.from(data);
  if (!reading?.holds(data)) return data;
  if (data.length < SHARED.length) return Buffer.from(data);
  reading.kept = true;
  return data;
}

/** Writes the bytes, which may be the reader's; true while more may be written. */
export function writeTo(transport: Transport, data: Buffer): boolean {
  const more = transport.write(data.buffer === SHARED.buffer ? Buffer.from(data) : data);
  // The kernel has not taken all of it yet.
  if (reading?.holds(data) && transport.pending > 0) reading.kept = true;
  return more;
}
