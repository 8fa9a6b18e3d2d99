/** Reads ASN.1 in DER (X.690), as far as certificates and requests for them need it. */

/** Where an element stands in its bytes: it begins at `at`, its content at `start`, and ends before `end`. */
export interface Element {
  readonly tag: number;
  readonly at: number;
  readonly start: number;
  readonly end: number;
}

/** Longer lengths than certificates have are none. */
const MOST_LENGTH_BYTES = 3;

/** The element at a place. Throws an `Error` where there is none that ends before `limit`, or that has a length in a longer form than it needs. */
export function elementAt(bytes: Buffer, at: number, limit = bytes.length): Element {
  if (at + 2 > limit) throw new Error('DER ends too early');
  const tag = bytes[at]!;
  const first = bytes[at + 1]!;
  const size = first < 0x80 ? 0 : first & 0x7f;
  const start = at + 2 + size;
  if ((first >= 0x80 && (size === 0 || size > MOST_LENGTH_BYTES)) || start > limit) throw new Error('DER has a length that is none');
  const length = size === 0 ? first : bytes.readUIntBE(at + 2, size);
  if (size > 0 && (length < 0x80 || length < 2 ** (8 * (size - 1)))) throw new Error('DER has a length in a longer form than it needs');
  if (start + length > limit) throw new Error('DER ends too early');
  return { tag, at, start, end: start + length };
}

/** The elements inside of one, without gaps. Throws as `elementAt`. */
export function childrenOf(bytes: Buffer, { start, end }: Pick<Element, 'start' | 'end'>): Element[] {
  const children: Element[] = [];
  for (let at = start; at < end; ) {
    const child = elementAt(bytes, at, end);
    children.push(child);
    at = child.end;
  }
  return children;
}

/** Its bytes, tag and length included. */
export function bytesOf(bytes: Buffer, { at, end }: Element): Buffer {
  return bytes.subarray(at, end);
}

export function contentOf(bytes: Buffer, { start, end }: Element): Buffer {
  return bytes.subarray(start, end);
}
