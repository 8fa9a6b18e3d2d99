/** The Huffman code of HPACK (RFC 7541 §5.2, Appendix B), decoded four bits at a time by a table. */
import { ConnectionError, ERROR } from './protocol.ts';

/** Bits of each symbol's code, 256 being the end of a string. The code is canonical: with the lengths, it is known. */
const LENGTHS = [
  ...[13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28],
  ...[6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10],
  ...[13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6],
  ...[15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28],
  ...[20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24],
  ...[22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23],
  ...[26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27],
  ...[20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26],
  30,
];
const END_OF_STRING = 256;

/** A step: the next state in the upper bits, then these, then the symbol. */
const EMITS = 0x100;
const FAILS = 0x200;
const STATE_SHIFT = 10;

/** `STEPS[state << 4 | four bits]`. */
const STEPS = new Int32Array(256 * 16);
/** States in which a string may end: what is left are up to seven ones (RFC 7541 §5.2). */
const MAY_END = new Uint8Array(256);
build();

function build(): void {
  // A tree of nodes: [left, right], each another node's number or, below zero, a symbol.
  const tree: [number, number][] = [[0, 0]];
  const order = LENGTHS.map((_, symbol) => symbol).sort((a, b) => LENGTHS[a]! - LENGTHS[b]! || a - b);
  let code = 0;
  let bits = LENGTHS[order[0]!]!;
  for (const [index, symbol] of order.entries()) {
    const length = LENGTHS[symbol]!;
    if (index > 0) code = (code + 1) * 2 ** (length - bits);
    bits = length;
    let node = 0;
    for (let bit = length - 1; bit >= 0; bit--) {
      const side = Math.floor(code / 2 ** bit) % 2 === 1 ? 1 : 0;
      if (bit === 0) tree[node]![side] = ~symbol;
      else {
        if (tree[node]![side] === 0) tree[node]![side] = tree.push([0, 0]) - 1;
        node = tree[node]![side]!;
      }
    }
  }
  for (let state = 0; state < tree.length; state++)
    for (let four = 0; four < 16; four++) STEPS[(state << 4) | four] = step(tree, state, four);
  for (let depth = 0, node = 0; depth < 8; depth++) {
    MAY_END[node] = 1;
    node = tree[node]![1]!;
  }
}

function step(tree: readonly (readonly [number, number])[], from: number, four: number): number {
  let node = from;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = tree[node]![(four >> bit) & 1]!;
    if (next >= 0) node = next;
    else if (~next === END_OF_STRING) return FAILS;
    else {
      emitted = EMITS | ~next;
      node = 0;
    }
  }
  return (node << STATE_SHIFT) | emitted;
}

let scratch = Buffer.allocUnsafeSlow(4096);

/** The text in `data` from `start` to `end`, as Latin-1. Throws a ConnectionError for what is no code, or ends otherwise than with ones. */
export function decodeHuffman(data: Uint8Array, start: number, end: number): string {
  // A symbol has at least five bits.
  const most = ((end - start) * 8) / 5 + 1;
  if (scratch.length < most) scratch = Buffer.allocUnsafeSlow(Math.ceil(most));
  const out = scratch;
  let length = 0;
  let state = 0;
  for (let at = start; at < end; at++) {
    const byte = data[at]!;
    const high = STEPS[(state << 4) | (byte >> 4)]!;
    if ((high & EMITS) !== 0) out[length++] = high & 0xff;
    const low = STEPS[((high >> STATE_SHIFT) << 4) | (byte & 15)]!;
    if ((low & EMITS) !== 0) out[length++] = low & 0xff;
    if (((high | low) & FAILS) !== 0) throw new ConnectionError(ERROR.compression, 'a text holds the end of a text (HPACK)');
    state = low >> STATE_SHIFT;
  }
  if (MAY_END[state] !== 1) throw new ConnectionError(ERROR.compression, 'a text ends within a symbol (HPACK)');
  return out.toString('latin1', 0, length);
}
