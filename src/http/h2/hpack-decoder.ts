/** Reads header blocks (RFC 7541): one decoder a connection, as each block builds on those before it. */
import { Field } from './field.ts';
import { decodeHuffman } from './huffman.ts';
import { ConnectionError, ERROR, TABLE_SIZE } from './protocol.ts';
import { STATIC_TABLE } from './static-table.ts';

const STATIC: readonly Field[] = STATIC_TABLE.map(([name, value]) => new Field(name, value));

/** Takes the fields of a block, in their order. */
export interface FieldSink {
  add(field: Field): void;
}

/** Entries that fit at most: each counts 32 bytes besides its text. */
const SLOTS = TABLE_SIZE / 32;

/** Longer texts than a head may have are no heads: nothing is gained by making them. */
const MAX_INTEGER = 0x0fffffff;

export class HpackDecoder {
  /** A ring; `#newest` is the place of the entry that came last. */
  readonly #table: (Field | undefined)[] = [];
  #newest = 0;
  #count = 0;
  #size = 0;
  #maxSize = TABLE_SIZE;
  #data: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  /** Throws a ConnectionError (COMPRESSION_ERROR) for what is no block: from there on, no block can be read. */
  decode(block: Buffer, sink: FieldSink): void {
    this.#data = block;
    this.#at = 0;
    this.#end = block.length;
    let first = true;
    while (this.#at < this.#end) {
      const byte = block[this.#at]!;
      if (byte >= 0x80) sink.add(this.#indexed(this.#integer(byte, 7)));
      else if (byte >= 0x40) {
        const field = this.#literal(byte, 6);
        this.#insert(field);
        sink.add(field);
      } else if (byte < 0x20) sink.add(this.#literal(byte, 4));
      else {
        if (!first) throw broken('the table changes its size behind fields');
        this.#resize(this.#integer(byte, 5));
        continue;
      }
      first = false;
    }
  }

  #indexed(index: number): Field {
    if (index === 0) throw broken('an index of nothing');
    if (index <= STATIC.length) return STATIC[index - 1]!;
    const back = index - STATIC.length - 1;
    if (back >= this.#count) throw broken('an index beyond the table');
    return this.#table[(this.#newest - back + SLOTS) % SLOTS]!;
  }

  #literal(byte: number, bits: number): Field {
    const index = this.#integer(byte, bits);
    const name = index === 0 ? this.#text() : this.#indexed(index).name;
    return new Field(name, this.#text());
  }

  /** RFC 7541 §5.1; the prefix has `bits`. */
  #integer(byte: number, bits: number): number {
    this.#at++;
    const most = (1 << bits) - 1;
    let value = byte & most;
    if (value < most) return value;
    for (let factor = 1; ; factor *= 128) {
      if (this.#at >= this.#end) throw broken('a number is cut');
      const next = this.#data[this.#at++]!;
      value += (next & 127) * factor;
      if (value > MAX_INTEGER || factor > MAX_INTEGER) throw broken('a number is too large');
      if (next < 128) return value;
    }
  }

  #text(): string {
    if (this.#at >= this.#end) throw broken('a text is missing');
    const byte = this.#data[this.#at]!;
    const length = this.#integer(byte, 7);
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) throw broken('a text is cut');
    this.#at = end;
    return byte >= 0x80 ? decodeHuffman(this.#data, start, end) : this.#data.toString('latin1', start, end);
  }

  #insert(field: Field): void {
    const { size } = field;
    this.#evict(this.#maxSize - size);
    if (size > this.#maxSize) return;
    this.#newest = (this.#newest + 1) % SLOTS;
    this.#table[this.#newest] = field;
    this.#count++;
    this.#size += size;
  }

  #resize(size: number): void {
    if (size > TABLE_SIZE) throw broken('the table grows beyond what was allowed');
    this.#maxSize = size;
    this.#evict(size);
  }

  /** Drops the oldest entries until `room` bytes hold the others. */
  #evict(room: number): void {
    while (this.#count > 0 && this.#size > room) {
      const oldest = (this.#newest - this.#count + 1 + SLOTS) % SLOTS;
      this.#size -= this.#table[oldest]!.size;
      this.#table[oldest] = undefined;
      this.#count--;
    }
  }
}

function broken(what: string): ConnectionError {
  return new ConnectionError(ERROR.compression, `${what} (HPACK)`);
}
