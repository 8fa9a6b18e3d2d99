/**
 * Compresses a body as it passes, in this thread: what comes in has gone out when `encode` returns, so that nothing waits and slow clients slow down
 * servers as ever. `node:zlib` compresses piecewise in other threads alone; what stands under it does so here as well.
 */
import {
  type BrotliCompress,
  constants,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  type Gzip,
  type ZstdCompress,
} from 'node:zlib';
import type { BodyEncoding, BrotliEncoding } from '../../http/compression/encoding.ts';

/** What Node has under a stream of `node:zlib`. */
interface Internals {
  readonly _handle: {
    writeSync(
      flush: number,
      input: Buffer,
      inputAt: number,
      inputLength: number,
      output: Buffer,
      outputAt: number,
      outputLength: number,
    ): void;
  };
  /** Bytes that were left of the output, and of the input. */
  readonly _writeState: Uint32Array;
  on(event: 'error', heard: (error: Error) => void): void;
  close(): void;
}

/** Of the output at a time. */
const PIECE_BYTES = 32 * 1024;
/** One for all: what is in it is copied before anybody else writes. */
let piece: Buffer | undefined;

export class BodyEncoder {
  readonly #stream: Internals;
  readonly #flush: number;
  readonly #finish: number;
  #error: Error | undefined;

  constructor(encoding: BodyEncoding) {
    this.#stream = streamOf(encoding) as unknown as Internals;
    [this.#flush, this.#finish] = FLUSHES[encoding.name];
    this.#stream.on('error', (error) => {
      this.#error = error;
    });
  }

  /** What a client needs to read all that has come. `last`: nothing follows. Throws what zlib complains of. */
  encode(data: Buffer, last: boolean): Buffer {
    const { _handle: handle, _writeState: state } = this.#stream;
    piece ??= Buffer.allocUnsafeSlow(PIECE_BYTES);
    const pieces: Buffer[] = [];
    let at = 0;
    let left = data.length;
    let room: number;
    do {
      handle.writeSync(last ? this.#finish : this.#flush, data, at, left, piece, 0, PIECE_BYTES);
      room = state[0]!;
      // What went wrong is told later alone.
      if (this.#error || (room === PIECE_BYTES && left > 0 && state[1] === left))
        throw this.#error ?? new Error('the body can’t be compressed');
      at += left - state[1]!;
      left = state[1]!;
      pieces.push(Buffer.from(piece.subarray(0, PIECE_BYTES - room)));
    } while (room === 0 || left > 0);
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  close(): void {
    this.#stream.close();
  }
}

const MODES: Readonly<Record<BrotliEncoding['mode'], number>> = {
  generic: constants.BROTLI_MODE_GENERIC,
  text: constants.BROTLI_MODE_TEXT,
  font: constants.BROTLI_MODE_FONT,
};

function streamOf(encoding: BodyEncoding): Gzip | BrotliCompress | ZstdCompress {
  switch (encoding.name) {
    case 'gzip': {
      const { windowBits, memoryLevel: memLevel, level, strategy } = encoding;
      return createGzip({ windowBits, memLevel, level, strategy });
    }
    case 'br':
      return createBrotliCompress({
        params: {
          [constants.BROTLI_PARAM_QUALITY]: encoding.quality,
          [constants.BROTLI_PARAM_LGWIN]: encoding.windowBits,
          [constants.BROTLI_PARAM_LGBLOCK]: encoding.blockBits,
          [constants.BROTLI_PARAM_MODE]: MODES[encoding.mode],
          [constants.BROTLI_PARAM_DISABLE_LITERAL_CONTEXT_MODELING]: !encoding.literalContexts,
        },
      });
    case 'zstd': {
      const { level, checksum, strategy } = encoding;
      return createZstdCompress({
        params: {
          [constants.ZSTD_c_compressionLevel]: level,
          [constants.ZSTD_c_checksumFlag]: checksum,
          ...(strategy !== undefined && { [constants.ZSTD_c_strategy]: strategy }),
        },
      });
    }
  }
}

const FLUSHES: Readonly<Record<BodyEncoding['name'], readonly [flush: number, finish: number]>> = {
  gzip: [constants.Z_SYNC_FLUSH, constants.Z_FINISH],
  br: [constants.BROTLI_OPERATION_FLUSH, constants.BROTLI_OPERATION_FINISH],
  zstd: [constants.ZSTD_e_flush, constants.ZSTD_e_end],
};
