/** Decodes the chunked transfer coding (RFC 9112 §7.1), incrementally and strictly. */

import { FIELD_VALUE } from '../../../http/h1/chars.ts';
import { CodecError, TRAILERS_TOO_LARGE } from '../../../http/h1/error.ts';
import { parseTrailers } from '../../../http/h1/head.ts';
import { HeaderMap } from '../../../http/header-map.ts';

/** Extension bytes of all chunks of one message: more is a flood, no one sends any. */
const MAX_EXTENSION_BYTES = 4096;
const MAX_TRAILER_BYTES = 60 * 1024;

const NO_TRAILERS = new HeaderMap();
const NO_BYTES = Buffer.alloc(0);

type State = 'size' | 'extension' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailers' | 'done';

export interface ChunkSink {
  /** A piece of the body; a view of the input. */
  bodyData(data: Buffer): void;
}

export class ChunkedDecoder {
  /** Set once the last chunk and the trailers are read; empty without trailers. */
  trailers: HeaderMap = NO_TRAILERS;
  done = false;

  #state: State = 'size';
  #size = 0;
  #digits = 0;
  #extensionBytes = 0;
  #trailerBytes: Buffer = NO_BYTES;
  #trailerLength = 0;
  /** Bytes of the trailers' line that is under way. */
  #lineLength = 0;
  readonly #maxTrailers: number;

  constructor(maxTrailers: number) {
    this.#maxTrailers = maxTrailers;
  }

  /** Decodes `data` from `start`; returns the position after what belonged to the body. */
  decode(data: Buffer, start: number, sink: ChunkSink): number | CodecError {
    let at = start;
    while (at < data.length && !this.done) {
      if (this.#state === 'data') {
        const end = Math.min(data.length, at + this.#size);
        this.#size -= end - at;
        if (this.#size === 0) this.#state = 'data-cr';
        sink.bodyData(at === 0 && end === data.length ? data : data.subarray(at, end));
        at = end;
        continue;
      }
      const error = this.#framing(data[at]!);
      if (error) return error;
      at++;
    }
    return at;
  }

  /** One byte outside of chunk data. */
  #framing(byte: number): CodecError | undefined {
    switch (this.#state) {
      case 'size': {
        const digit = hexDigit(byte);
        if (digit >= 0) {
          if (++this.#digits > 13) return new CodecError('chunk size too large');
          this.#size = this.#size * 16 + digit;
          return undefined;
        }
        if (this.#digits === 0) return new CodecError('bad chunk size');
        if (byte === 13) this.#state = 'size-lf';
        else if (byte === 59) this.#state = 'extension';
        else return new CodecError('bad chunk size');
        return undefined;
      }
      case 'extension':
        if (byte === 13) this.#state = 'size-lf';
        else if (FIELD_VALUE[byte] !== 1) return new CodecError('control character in a chunk extension');
        else if (++this.#extensionBytes > MAX_EXTENSION_BYTES) return new CodecError('chunk extensions too large');
        return undefined;
      case 'size-lf':
        if (byte !== 10) return new CodecError('bare CR after a chunk size');
        this.#digits = 0;
        this.#state = this.#size > 0 ? 'data' : 'trailers';
        return undefined;
      case 'data-cr':
        if (byte !== 13) return new CodecError('chunk longer than its size');
        this.#state = 'data-lf';
        return undefined;
      case 'data-lf':
        if (byte !== 10) return new CodecError('chunk longer than its size');
        this.#state = 'size';
        return undefined;
      default:
        return this.#trailer(byte);
    }
  }

  /** Each byte costs the same, however many came before it. */
  #trailer(byte: number): CodecError | undefined {
    const at = this.#trailerLength;
    if (at >= MAX_TRAILER_BYTES) return TRAILERS_TOO_LARGE;
    const afterCr = at > 0 && this.#trailerBytes[at - 1] === 13;
    if ((byte === 10) !== afterCr) return new CodecError('bare CR or LF in the trailers');
    if (at === this.#trailerBytes.length) this.#growTrailers();
    this.#trailerBytes[at] = byte;
    this.#trailerLength = at + 1;
    this.#lineLength++;
    if (byte !== 10) return undefined;
    const empty = this.#lineLength === 2;
    this.#lineLength = 0;
    if (!empty) return undefined;
    this.#state = 'done';
    this.done = true;
    if (at === 1) return undefined;
    const trailers = parseTrailers(this.#trailerBytes.toString('latin1', 0, at - 1), this.#maxTrailers);
    this.#trailerBytes = NO_BYTES;
    if (trailers instanceof CodecError) return trailers;
    this.trailers = trailers;
    return undefined;
  }

  #growTrailers(): void {
    const grown = Buffer.allocUnsafe(Math.min(MAX_TRAILER_BYTES, Math.max(64, this.#trailerBytes.length * 2)));
    this.#trailerBytes.copy(grown);
    this.#trailerBytes = grown;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
