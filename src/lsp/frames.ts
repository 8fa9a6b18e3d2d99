/** The framing of the Language Server Protocol: a header with the length, an empty line, so many bytes of JSON. What is longer or deeper than any editor's message is refused before it costs anything. */

/** Bytes of a message: the largest file, as JSON escapes it. */
export const LARGEST_MESSAGE = 64 * 1024 * 1024;
const LARGEST_HEADER = 4096;
/** Levels of brackets. The protocol's own messages have about ten. */
const DEEPEST_MESSAGE = 100;

const HEADER_END = '\r\n\r\n';

/** Nothing that follows can be understood: where the next message would begin is not known. */
export class FrameError extends Error {}

/** Cuts what comes in into messages. */
export class FrameReader {
  #held = Buffer.alloc(LARGEST_HEADER);
  #length = 0;
  /** Bytes of the message whose header was read. */
  #wanted: number | undefined;

  /** The bodies that are complete with this part. Throws `FrameError`. */
  *push(part: Buffer): Generator<Buffer> {
    this.#append(part);
    for (;;) {
      if (this.#wanted === undefined && !this.#readHeader()) return;
      if (this.#length < this.#wanted!) return;
      yield this.#take(this.#wanted!);
      this.#wanted = undefined;
    }
  }

  /** One buffer that grows: a message that comes byte by byte costs no more than one that comes at once. */
  #append(part: Buffer): void {
    const length = this.#length + part.length;
    if (length > this.#held.length) {
      const larger = Buffer.alloc(Math.max(length, 2 * this.#held.length));
      this.#held.copy(larger, 0, 0, this.#length);
      this.#held = larger;
    }
    part.copy(this.#held, this.#length);
    this.#length = length;
  }

  #readHeader(): boolean {
    const end = this.#held.subarray(0, Math.min(this.#length, LARGEST_HEADER)).indexOf(HEADER_END);
    if (end < 0) {
      if (this.#length >= LARGEST_HEADER) throw new FrameError(`the header of a message has more than ${LARGEST_HEADER} bytes`);
      return false;
    }
    const header = this.#take(end + HEADER_END.length).toString('latin1');
    this.#wanted = lengthIn(header);
    return true;
  }

  /** The first bytes, as a copy. */
  #take(length: number): Buffer {
    const taken = Buffer.from(this.#held.subarray(0, length));
    this.#held.copyWithin(0, length, this.#length);
    this.#length -= length;
    // The room that one large message took is given back.
    if (this.#length < LARGEST_HEADER && this.#held.length > 1024 * 1024)
      this.#held = Buffer.concat([this.#held.subarray(0, this.#length)], LARGEST_HEADER);
    return taken;
  }
}

function lengthIn(header: string): number {
  const lengths = [...header.matchAll(/^Content-Length:[ \t]*(.*?)[ \t]*$/gim)].map(([, value]) => value!);
  const [written] = lengths;
  if (lengths.length !== 1 || !/^\d{1,9}$/.test(written!)) throw new FrameError('the header of a message has no valid Content-Length');
  const length = Number(written);
  if (length > LARGEST_MESSAGE) throw new FrameError(`a message of ${length} bytes is longer than ${LARGEST_MESSAGE}`);
  return length;
}

/** @param message plain data */
export function framed(message: object): Buffer {
  const body = Buffer.from(JSON.stringify(message));
  return Buffer.concat([Buffer.from(`Content-Length: ${body.length}${HEADER_END}`), body]);
}

/** The message of a body; undefined unless it is JSON in UTF-8 of a depth that editors write. */
export function messageIn(body: Buffer): unknown {
  if (isTooDeep(body)) return undefined;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return undefined;
  }
}

function isTooDeep(body: Buffer): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at]!;
    if (quoted) {
      if (byte === 0x5c) at++;
      else if (byte === 0x22) quoted = false;
    } else if (byte === 0x22) quoted = true;
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > DEEPEST_MESSAGE) return true;
    } else if (byte === 0x7d || byte === 0x5d) depth--;
  }
  return false;
}
