/**
 * Writes header blocks (RFC 7541): one encoder a connection. A field goes into the peer's table when its value comes a second time in a row, so that what
 * differs from message to message (request ids, dates) never drives out what stays. Texts are not Huffman-coded: bytes are cheaper than the time.
 */
import { TABLE_SIZE } from './protocol.ts';
import { STATIC_TABLE } from './static-table.ts';

/** What is known of a name on one connection. */
interface Slot {
  /** Its number in the static table; 0 for none. */
  readonly number: number;
  /** Numbers in the static table of name and value together. */
  readonly values: ReadonlyMap<string, number> | undefined;
  readonly secret: boolean;
  /** The value that came last. */
  last: string | undefined;
  /** The value in the peer's table, and which insertion it was. */
  indexed: string | undefined;
  insertion: number;
}

/** What others who share the connection must not find out by guessing (RFC 7541 §7.1.3). */
const SECRET = new Set(['authorization', 'cookie', 'set-cookie', 'x-forwarded-client-cert']);
/** Names that a connection remembers: others send theirs in full. */
const MAX_NAMES = 128;
const OVERHEAD = 32;

const NUMBERS = new Map<string, { readonly number: number; readonly values: Map<string, number> }>();
for (const [at, [name, value]] of STATIC_TABLE.entries()) {
  const known = NUMBERS.get(name) ?? { number: at + 1, values: new Map() };
  NUMBERS.set(name, known);
  if (value !== '') known.values.set(value, at + 1);
}

/** Bytes that a block has at most for a field, besides its text: two lengths, the index, changes of the table. */
const FIELD_OVERHEAD = 24;

/** Bytes that suffice for a block of these fields. */
export function blockBound(flat: readonly string[]): number {
  let bytes = FIELD_OVERHEAD;
  for (let i = 0; i < flat.length; i++) bytes += flat[i]!.length + FIELD_OVERHEAD / 2;
  return bytes;
}

export class HpackEncoder {
  readonly #slots = new Map<string, Slot>();
  #maxSize = TABLE_SIZE;
  /** The smallest size that was asked for since the last block, and whether a change is to be told. */
  #lowest = TABLE_SIZE;
  #resized = false;
  /** Sizes of the entries, the oldest at `#first`. */
  #sizes: number[] = [];
  #first = 0;
  #size = 0;
  /** Insertions so far. */
  #inserted = 0;
  #out: Buffer = Buffer.alloc(0);
  #at = 0;

  /** SETTINGS_HEADER_TABLE_SIZE of the peer, as large as it may be. */
  resize(bytes: number): void {
    const size = Math.min(bytes, TABLE_SIZE);
    if (size === this.#maxSize && !this.#resized) return;
    this.#lowest = Math.min(this.#resized ? this.#lowest : this.#maxSize, size);
    this.#resized = true;
    this.#maxSize = size;
    this.#evict(this.#lowest);
  }

  /** A block begins at `at` of `out`, which has room for it (`blockBound`). */
  begin(out: Buffer, at: number): void {
    this.#out = out;
    this.#at = at;
    if (!this.#resized) return;
    this.#resized = false;
    if (this.#lowest < this.#maxSize) this.#integer(0x20, 5, this.#lowest);
    this.#integer(0x20, 5, this.#maxSize);
  }

  /** Where the block ends. */
  end(): number {
    return this.#at;
  }

  /** `name` in lower case. */
  field(name: string, value: string): void {
    const slot = this.#slots.get(name) ?? this.#slot(name);
    if (slot === undefined) {
      this.#out[this.#at++] = 0;
      this.#text(name);
      this.#text(value);
      return;
    }
    const known = slot.values?.get(value);
    if (known !== undefined) {
      this.#integer(0x80, 7, known);
      return;
    }
    const live = slot.indexed !== undefined && slot.insertion >= this.#inserted - (this.#sizes.length - this.#first);
    if (live && slot.indexed === value) {
      this.#integer(0x80, 7, this.#number(slot));
      return;
    }
    const size = name.length + value.length + OVERHEAD;
    const inserts = slot.last === value && !slot.secret && size <= this.#maxSize / 4;
    slot.last = value;
    // The number of the name is that before the insertion.
    const number = slot.number > 0 ? slot.number : live ? this.#number(slot) : 0;
    if (inserts) this.#integer(0x40, 6, number);
    else this.#integer(slot.secret ? 0x10 : 0, 4, number);
    if (number === 0) this.#text(name);
    this.#text(value);
    if (inserts) this.#insert(slot, value, size);
  }

  #slot(name: string): Slot | undefined {
    if (this.#slots.size >= MAX_NAMES) return undefined;
    const known = NUMBERS.get(name);
    const values = known && known.values.size > 0 ? known.values : undefined;
    const slot: Slot = { number: known?.number ?? 0, values, secret: SECRET.has(name), last: undefined, indexed: undefined, insertion: 0 };
    this.#slots.set(name, slot);
    return slot;
  }

  /** Of an entry: the newest is the first after the static ones. */
  #number(slot: Slot): number {
    return STATIC_TABLE.length + this.#inserted - slot.insertion;
  }

  #insert(slot: Slot, value: string, size: number): void {
    this.#evict(this.#maxSize - size);
    this.#sizes.push(size);
    this.#size += size;
    slot.indexed = value;
    slot.insertion = this.#inserted++;
  }

  #evict(room: number): void {
    while (this.#size > room) this.#size -= this.#sizes[this.#first++]!;
    if (this.#first < 64) return;
    this.#sizes = this.#sizes.slice(this.#first);
    this.#first = 0;
  }

  #integer(mark: number, bits: number, value: number): void {
    const most = (1 << bits) - 1;
    if (value < most) {
      this.#out[this.#at++] = mark | value;
      return;
    }
    this.#out[this.#at++] = mark | most;
    let rest = value - most;
    for (; rest >= 128; rest >>>= 7) this.#out[this.#at++] = (rest & 127) | 128;
    this.#out[this.#at++] = rest;
  }

  #text(text: string): void {
    const { length } = text;
    this.#integer(0, 7, length);
    const out = this.#out;
    let at = this.#at;
    if (length > 64) at += out.write(text, at, 'latin1');
    else for (let i = 0; i < length; i++) out[at++] = text.charCodeAt(i);
    this.#at = at;
  }
}
