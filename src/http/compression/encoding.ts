/** How bodies are compressed: the libraries of compressors (`envoy.extensions.compression.*`). */
import type { Any } from '@bufbuild/protobuf/wkt';
import { SallyportError } from '../../lib/errors.ts';
import {
  type Brotli,
  Brotli_EncoderMode,
  BrotliSchema,
} from '../../xds/gen/envoy/extensions/compression/brotli/compressor/v3/brotli_pb.js';
import { type Gzip, GzipSchema } from '../../xds/gen/envoy/extensions/compression/gzip/compressor/v3/gzip_pb.js';
import { type Zstd, ZstdSchema } from '../../xds/gen/envoy/extensions/compression/zstd/compressor/v3/zstd_pb.js';
import { typeNameOf, unpack, unsupported } from '../../xds/unpack.ts';

export type BodyEncoding = GzipEncoding | BrotliEncoding | ZstdEncoding;

export interface GzipEncoding {
  readonly name: 'gzip';
  /** 9 to 15. */
  readonly windowBits: number;
  /** 1 to 9. */
  readonly memoryLevel: number;
  /** 1 to 9; -1: zlib's own. */
  readonly level: number;
  /** zlib's number. */
  readonly strategy: number;
}

export interface BrotliEncoding {
  readonly name: 'br';
  /** 0 to 11. */
  readonly quality: number;
  /** 10 to 24. */
  readonly windowBits: number;
  /** 16 to 24. */
  readonly blockBits: number;
  readonly mode: 'generic' | 'text' | 'font';
  readonly literalContexts: boolean;
}

export interface ZstdEncoding {
  readonly name: 'zstd';
  /** 0 to 22. */
  readonly level: number;
  readonly checksum: boolean;
  /** zstd's number; undefined: its own by the level. */
  readonly strategy: number | undefined;
}

/** Throws `xds-unsupported` and `xds-invalid`; `where` names the library. */
export function compileEncoding(library: Any | undefined, where: string): BodyEncoding {
  switch (typeNameOf(library)) {
    case GzipSchema.typeName:
      return gzip(unpack(library, GzipSchema, where), where);
    case BrotliSchema.typeName:
      return brotli(unpack(library, BrotliSchema, where), where);
    case ZstdSchema.typeName:
      return zstd(unpack(library, ZstdSchema, where), where);
    default:
      return unsupported(where, `the library ${typeNameOf(library) || 'without a type'} is not supported`);
  }
}

function inRange(value: number, least: number, most: number, where: string): number {
  if (value < least || value > most) throw new SallyportError('xds-invalid', `${where} has to be from ${least} to ${most}`);
  return value;
}

/** Envoy's defaults: little memory for each response. */
function gzip({ windowBits = 12, memoryLevel = 5, compressionLevel, compressionStrategy }: Gzip, where: string): BodyEncoding {
  return {
    name: 'gzip',
    windowBits: inRange(windowBits, 9, 15, `${where}.window_bits`),
    memoryLevel: inRange(memoryLevel, 1, 9, `${where}.memory_level`),
    level: compressionLevel === 0 ? -1 : inRange(compressionLevel, 1, 9, `${where}.compression_level`),
    // Envoy's numbers are zlib's.
    strategy: inRange(compressionStrategy, 0, 4, `${where}.compression_strategy`),
  };
}

const MODES: Readonly<Record<Brotli_EncoderMode, BrotliEncoding['mode']>> = {
  [Brotli_EncoderMode.DEFAULT]: 'generic',
  [Brotli_EncoderMode.GENERIC]: 'generic',
  [Brotli_EncoderMode.TEXT]: 'text',
  [Brotli_EncoderMode.FONT]: 'font',
};

function brotli(config: Brotli, where: string): BodyEncoding {
  const { quality = 3, windowBits = 18, inputBlockBits = 24, encoderMode, disableLiteralContextModeling } = config;
  return {
    name: 'br',
    quality: inRange(quality, 0, 11, `${where}.quality`),
    windowBits: inRange(windowBits, 10, 24, `${where}.window_bits`),
    blockBits: inRange(inputBlockBits, 16, 24, `${where}.input_block_bits`),
    mode: MODES[encoderMode] ?? unsupported(`${where}.encoder_mode`, 'not known here'),
    literalContexts: !disableLiteralContextModeling,
  };
}

function zstd({ compressionLevel = 3, enableChecksum, strategy, dictionary }: Zstd, where: string): BodyEncoding {
  if (dictionary) unsupported(`${where}.dictionary`, 'not supported');
  return {
    name: 'zstd',
    level: inRange(compressionLevel, 0, 22, `${where}.compression_level`),
    checksum: enableChecksum,
    strategy: strategy === 0 ? undefined : inRange(strategy, 1, 9, `${where}.strategy`),
  };
}
