/** XXH64 (seed 0 unless given) of a text's UTF-8 bytes: the hash by which Envoy places requests and hosts on its rings. */

const MASK = (1n << 64n) - 1n;
const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;

const multiply = (a: bigint, b: bigint) => (a * b) & MASK;
const add = (a: bigint, b: bigint) => (a + b) & MASK;
const rotate = (value: bigint, bits: bigint) => ((value << bits) | (value >> (64n - bits))) & MASK;
const round = (accumulator: bigint, input: bigint) => multiply(rotate(add(accumulator, multiply(input, P2)), 31n), P1);
const merge = (hash: bigint, accumulator: bigint) => add(multiply(hash ^ round(0n, accumulator), P1), P4);

export function xxHash64(text: string | Uint8Array, seed = 0n): bigint {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { length } = bytes;
  let at = 0;
  let hash: bigint;
  if (length >= 32) {
    let [a, b, c, d] = [add(add(seed, P1), P2), add(seed, P2), seed & MASK, (seed - P1) & MASK];
    for (; at + 32 <= length; at += 32) {
      a = round(a, view.getBigUint64(at, true));
      b = round(b, view.getBigUint64(at + 8, true));
      c = round(c, view.getBigUint64(at + 16, true));
      d = round(d, view.getBigUint64(at + 24, true));
    }
    hash = add(add(rotate(a, 1n), rotate(b, 7n)), add(rotate(c, 12n), rotate(d, 18n)));
    for (const lane of [a, b, c, d]) hash = merge(hash, lane);
  } else hash = add(seed, P5);
  hash = add(hash, BigInt(length));
  for (; at + 8 <= length; at += 8) hash = add(multiply(rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n), P1), P4);
  if (at + 4 <= length) {
    hash = add(multiply(rotate(hash ^ multiply(BigInt(view.getUint32(at, true)), P1), 23n), P2), P3);
    at += 4;
  }
  for (; at < length; at++) hash = multiply(rotate(hash ^ multiply(BigInt(bytes[at]!), P5), 11n), P1);
  hash = multiply(hash ^ (hash >> 33n), P2);
  hash = multiply(hash ^ (hash >> 29n), P3);
  return hash ^ (hash >> 32n);
}
