/** Cuts a byte stream into HTTP/1 messages: heads as text, bodies as pieces. What heads mean is the handler's. */

import { TOKEN } from '../../../http/h1/chars.ts';
import { CodecError, HEADERS_TOO_LARGE } from '../../../http/h1/error.ts';
import type { HeaderMap } from '../../../http/header-map.ts';
import { own } from '../../net/read-buffer.ts';
import { ChunkedDecoder } from './chunked.ts';

/** How the body after a head is framed. `hold`: nothing follows until `resume`. */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' | 'close' };

export interface MessageHandler {
  /**
   * A head has come; `text` ends with the line end of its last line. `more` is true if bytes behind it are at hand. Returns the framing of its body, or
   * undefined if the handler took the connection away or failed it: the parser reads nothing more. `takeRest` gives what is unread.
   */
  head(text: string, more: boolean): BodyFraming | undefined;
  bodyData(data: Buffer): void;
  /** The end of the body, also of none. The parser holds after it until `next` is called. */
  messageEnd(trailers: HeaderMap | undefined): void;
  codecError(error: CodecError): void;
  /** The first line of a head that is still coming: refuses what will never be one. */
  checkFirstLine?(line: string): CodecError | undefined;
}

export const NO_BODY: BodyFraming = { kind: 'none' };
export const CHUNKED: BodyFraming = { kind: 'chunked' };
export const UNTIL_CLOSE: BodyFraming = { kind: 'close' };

const END_OF_HEAD = Buffer.from('\r\n\r\n', 'latin1');
/** Empty lines that may come before a head (RFC 9112 §2.2). */
const MAX_EMPTY_LINES = 8;

const HEAD = 0;
const LENGTH = 1;
const CHUNKS = 2;
const CLOSE = 3;
/** Between two messages, or finished: input is kept, not read. */
const HOLD = 4;

export class MessageParser {
  readonly #handler: MessageHandler;
  readonly #maxHeadBytes: number;
  readonly #maxHeaders: number;
  readonly #maxEmptyLines: number;
  #state = HEAD;
  /** Bytes of an incomplete head in `#partial`, grown by doubling. */
  #partial: Buffer | undefined;
  #partialLength = 0;
  #emptyLines = 0;
  #remaining = 0;
  #chunked: ChunkedDecoder | undefined;
  #held: Buffer | undefined;
  #running = false;

  /** @param emptyLines how many may come before a head: a server bears with clients there (RFC 9112 §2.2), a client with no server */
  constructor(handler: MessageHandler, maxHeadBytes: number, maxHeaders: number, emptyLines = MAX_EMPTY_LINES) {
    this.#handler = handler;
    this.#maxEmptyLines = emptyLines;
    this.#maxHeadBytes = maxHeadBytes;
    this.#maxHeaders = maxHeaders;
  }

  /** True while no byte of a next head has come. */
  get atStart(): boolean {
    return (this.#state === HEAD || this.#state === HOLD) && this.#partialLength === 0 && this.#held === undefined;
  }

  /** Bytes that wait for `next`. */
  get held(): number {
    return this.#held?.length ?? 0;
  }

  /** Reads `data`; calls the handler as far as it goes. */
  execute(data: Buffer): void {
    if (this.#state === HOLD || this.#running) {
      this.#held = this.#held ? Buffer.concat([this.#held, data]) : own(data);
      return;
    }
    this.#running = true;
    let at = 0;
    while (at < data.length) {
      if (this.#state === HEAD) at = this.#readHead(data, at);
      else if (this.#state === LENGTH) at = this.#readLength(data, at);
      else if (this.#state === CHUNKS) at = this.#readChunks(data, at);
      else if (this.#state === CLOSE) {
        this.#handler.bodyData(at === 0 ? data : data.subarray(at));
        at = data.length;
      } else {
        const rest = at === 0 ? data : data.subarray(at);
        this.#held = this.#held ? Buffer.concat([rest, this.#held]) : own(rest);
        at = data.length;
      }
    }
    this.#running = false;
  }

  /** After `messageEnd`: reads on with the next message, first what is held. */
  next(): void {
    this.#state = HEAD;
    this.#emptyLines = 0;
    if (!this.#running) this.#readHeld();
  }

  /** After a head that opens a tunnel: everything that follows is body. */
  tunnel(): void {
    this.#state = CLOSE;
    if (!this.#running) this.#readHeld();
  }

  /** The end of the stream. Ends a body that is framed by it; true if the message that was under way is complete. */
  end(): boolean {
    if (this.#state === CLOSE) {
      this.#state = HOLD;
      this.#handler.messageEnd(undefined);
      return true;
    }
    return this.atStart;
  }

  /** Takes what was not read yet, an incomplete head included; the parser is done. */
  takeRest(): Buffer {
    const parts: Buffer[] = [];
    if (this.#partial && this.#partialLength > 0) parts.push(this.#partial.subarray(0, this.#partialLength));
    if (this.#held) parts.push(this.#held);
    this.#held = undefined;
    this.#partialLength = 0;
    this.#state = HOLD;
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  /** Reads nothing more, whatever comes. */
  stop(): void {
    this.#state = HOLD;
  }

  #readHeld(): void {
    while (this.#held && this.#state !== HOLD) {
      const data = this.#held;
      this.#held = undefined;
      this.execute(data);
    }
  }

  #readHead(data: Buffer, start: number): number {
    if (this.#partialLength > 0) return this.#continueHead(data, start);
    let at = start;
    while (data[at] === 13 && data[at + 1] === 10) {
      if (++this.#emptyLines > this.#maxEmptyLines) return this.#fail(new CodecError('too many empty lines before a head'), data);
      at += 2;
    }
    if (at === data.length) return at;
    const end = data.indexOf(END_OF_HEAD, at);
    if (end < 0) {
      this.#keep(data, at, data.length);
      return this.#checkPartial(0) ? data.length : this.#fail(this.#partialError(), data);
    }
    if (end - at > this.#maxHeadBytes) return this.#fail(HEADERS_TOO_LARGE, data);
    return this.#headComplete(data.toString('latin1', at, end + 2), data, end + 4);
  }

  /** A head that comes in pieces: gathered until its empty line, looked at only once a byte. */
  #continueHead(data: Buffer, start: number): number {
    const before = this.#partialLength;
    // The limit holds before anything is copied.
    const take = Math.min(data.length - start, this.#maxHeadBytes + 8 - before);
    this.#keep(data, start, start + take);
    const partial = this.#partial!;
    let skipped = 0;
    while (this.#partialLength - skipped >= 2 && partial[skipped] === 13 && partial[skipped + 1] === 10) {
      if (++this.#emptyLines > this.#maxEmptyLines) return this.#fail(new CodecError('too many empty lines before a head'), data);
      skipped += 2;
    }
    const length = this.#partialLength;
    const end = partial.subarray(0, length).indexOf(END_OF_HEAD, Math.max(skipped, before - 3));
    if (end >= 0) {
      if (end - skipped > this.#maxHeadBytes) return this.#fail(HEADERS_TOO_LARGE, data);
      const text = partial.toString('latin1', skipped, end + 2);
      const consumed = start + take - (length - end - 4);
      this.#partialLength = 0;
      this.#partial = undefined;
      return this.#headComplete(text, data, consumed);
    }
    if (skipped > 0) {
      partial.copyWithin(0, skipped, length);
      this.#partialLength -= skipped;
    }
    return this.#checkPartial(Math.max(0, before - skipped - 1)) ? start + take : this.#fail(this.#partialError(), data);
  }

  #keep(data: Buffer, start: number, end: number): void {
    const needed = this.#partialLength + end - start;
    if (!this.#partial || this.#partial.length < needed) {
      const grown = Buffer.allocUnsafe(Math.max(1024, needed * 2));
      this.#partial?.copy(grown, 0, 0, this.#partialLength);
      this.#partial = grown;
    }
    data.copy(this.#partial, this.#partialLength, start, end);
    this.#partialLength = needed;
  }

  /** An incomplete head must be within the limit, for which its end may have begun, and have no bare LF, which would keep it incomplete for ever. */
  #checkPartial(from: number): boolean {
    if (this.#partialLength >= this.#maxHeadBytes + END_OF_HEAD.length || !this.#mayBegin()) return false;
    return this.#bareLineEnd(from) < 0 && this.#firstLineError(from) === undefined;
  }

  /** Looked at when the end of the line has come, and by who asks for it. */
  #firstLineError(from: number): CodecError | undefined {
    if (!this.#handler.checkFirstLine) return undefined;
    const partial = this.#partial!.subarray(0, this.#partialLength);
    const end = partial.indexOf(10);
    return end >= from ? this.#handler.checkFirstLine(partial.toString('latin1', 0, end + 1)) : undefined;
  }

  /** Bytes that are no HTTP/1 are told from the first on; a CR may be an empty line's. */
  #mayBegin(): boolean {
    const first = this.#partial![0]!;
    return TOKEN[first] === 1 || first === 13;
  }

  #bareLineEnd(from: number): number {
    const partial = this.#partial!.subarray(0, this.#partialLength);
    for (let at = partial.indexOf(10, from); at >= 0; at = partial.indexOf(10, at + 1)) {
      if (at === 0 || partial[at - 1] !== 13) return at;
    }
    return -1;
  }

  #partialError(): CodecError {
    if (!this.#mayBegin()) return new CodecError('no head of HTTP/1');
    if (this.#bareLineEnd(0) >= 0) return new CodecError('bare LF in the head');
    return this.#firstLineError(0) ?? HEADERS_TOO_LARGE;
  }

  #headComplete(text: string, data: Buffer, next: number): number {
    // Until the handler has said how the body is framed, nothing may be read.
    this.#state = HOLD;
    const framing = this.#handler.head(text, next < data.length);
    if (framing === undefined) return next;
    switch (framing.kind) {
      case 'none':
        this.#handler.messageEnd(undefined);
        break;
      case 'length':
        this.#remaining = framing.length;
        if (framing.length === 0) this.#handler.messageEnd(undefined);
        else this.#state = LENGTH;
        break;
      case 'chunked':
        this.#chunked = new ChunkedDecoder(this.#maxHeaders);
        this.#state = CHUNKS;
        break;
      case 'close':
        this.#state = CLOSE;
        break;
    }
    return next;
  }

  #readLength(data: Buffer, start: number): number {
    const end = Math.min(data.length, start + this.#remaining);
    this.#remaining -= end - start;
    const last = this.#remaining === 0;
    if (last) this.#state = HOLD;
    this.#handler.bodyData(start === 0 && end === data.length ? data : data.subarray(start, end));
    if (last && this.#remaining === 0) this.#handler.messageEnd(undefined);
    return end;
  }

  #readChunks(data: Buffer, start: number): number {
    const decoder = this.#chunked!;
    const end = decoder.decode(data, start, this.#handler);
    if (end instanceof CodecError) return this.#fail(end, data);
    if (decoder.done && this.#state === CHUNKS) {
      this.#chunked = undefined;
      this.#state = HOLD;
      this.#handler.messageEnd(decoder.trailers);
    }
    return end;
  }

  #fail(error: CodecError, data: Buffer): number {
    this.#state = HOLD;
    this.#partialLength = 0;
    this.#handler.codecError(error);
    return data.length;
  }
}
