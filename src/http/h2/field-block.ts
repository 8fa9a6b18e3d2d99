/** The fields of one head or of trailers in HTTP/2, put together while they are read, and whether they make a message (RFC 9113 §8.1 to §8.5). */
import { joinValue, SEEN_ONCE } from '../fields.ts';
import { HeaderMap } from '../header-map.ts';
import { FIRST_PSEUDO, type Field, KIND } from './field.ts';
import type { FieldSink } from './hpack-decoder.ts';

export interface BlockLimits {
  /** Bytes of names and values. */
  readonly maxHeadBytes: number;
  /** Fields besides pseudo-headers; the crumbs of a cookie are one. */
  readonly maxHeaders: number;
}

/** Why a block is none, as `%RESPONSE_CODE_DETAILS%`. */
export type BlockProblem =
  | 'http2.violation.of.messaging.rule'
  | 'http2.header_list_size_too_large'
  | 'http2.too_many_headers'
  | 'http2.invalid_authority'
  | 'http2.unexpected_underscore';

export const MALFORMED = 'http2.violation.of.messaging.rule';

export class FieldBlock implements FieldSink {
  method = '';
  scheme = '';
  path = '';
  authority: string | undefined = undefined;
  /** Of `host`, which may stand once. */
  host: string | undefined = undefined;
  protocol = '';
  /** Of a response; 0 without. */
  status = 0;
  /** Of `content-length`; -1 without. */
  contentLength = -1;
  /** Bits of SEEN. */
  seen = 0;
  problem: BlockProblem | undefined = undefined;
  readonly headers: HeaderMap;
  /** Bits of the kinds of pseudo-headers that there are. */
  #pseudo = 0;
  #fields = 0;
  #bytes = 0;
  /** Where the value of `cookie` stands: its crumbs are one field again for everyone who reads them (RFC 9113 §8.2.3). */
  #cookie = 0;
  readonly #limits: BlockLimits;

  constructor(limits: BlockLimits) {
    this.#limits = limits;
    this.headers = new HeaderMap();
  }

  add(field: Field): void {
    const { name, value, kind, bit } = field;
    this.#bytes += name.length + value.length;
    // What is beyond the limits is read for the sake of the next block alone, and not kept.
    if (this.#bytes > this.#limits.maxHeadBytes) this.problem = 'http2.header_list_size_too_large';
    else if (kind >= FIRST_PSEUDO) this.#addPseudo(kind, value);
    else if (kind === KIND.cookie && this.#cookie > 0) this.headers.flat[this.#cookie] += `; ${value}`;
    else if (++this.#fields > this.#limits.maxHeaders) this.problem ??= 'http2.too_many_headers';
    else if (kind !== KIND.regular) this.#addSpecial(field);
    else this.#push(name, value, bit);
  }

  #push(name: string, value: string, bit: number): void {
    const { flat } = this.headers;
    if ((bit & this.seen & SEEN_ONCE) !== 0) joinValue(flat, name, value);
    else flat.push(name, value);
    this.seen |= bit;
  }

  #addPseudo(kind: number, value: string): void {
    const bit = 1 << kind;
    if (this.#fields > 0 || (this.#pseudo & bit) !== 0) this.problem ??= MALFORMED;
    this.#pseudo |= bit;
    if (kind === KIND.method) this.method = value;
    else if (kind === KIND.scheme) this.scheme = value;
    else if (kind === KIND.path) this.path = value;
    else if (kind === KIND.authority) this.authority = value;
    else if (kind === KIND.protocol) this.protocol = value;
    else this.status = Number(value);
  }

  #addSpecial({ name, value, kind, bit }: Field): void {
    switch (kind) {
      case KIND.cookie:
        this.#cookie = this.headers.flat.push(name, value) - 1;
        return;
      case KIND.contentLength:
        // What two readers could read differently is refused, also where both say the same.
        if (this.contentLength >= 0) this.problem ??= MALFORMED;
        this.contentLength = Number(value);
        this.#push(name, value, bit);
        return;
      case KIND.host:
        if (this.host !== undefined) this.problem ??= MALFORMED;
        this.host = value;
        this.seen |= bit;
        return;
      case KIND.hop:
        this.seen |= bit;
        return;
      default:
        this.problem ??= MALFORMED;
    }
  }

  /** Whether these are the pseudo-headers of a request (RFC 9113 §8.3.1, §8.5, RFC 8441 §4). `extended`: CONNECT may name a protocol. */
  isRequest(extended: boolean): boolean {
    const { method, path } = this;
    const pseudo = this.#pseudo & ~(1 << KIND.authority);
    if (method === 'CONNECT' && pseudo === 1 << KIND.method) return this.authority !== undefined;
    const whole = (1 << KIND.method) | (1 << KIND.scheme) | (1 << KIND.path);
    if (!path.startsWith('/') && !(path === '*' && method === 'OPTIONS')) return false;
    if (pseudo === (whole | (1 << KIND.protocol))) return extended && method === 'CONNECT' && this.authority !== undefined;
    return pseudo === whole && method !== 'CONNECT';
  }

  /** Whether this is the head of a response (RFC 9113 §8.3.2), final or not. 101 is HTTP/1's alone (§8.6). */
  get isResponse(): boolean {
    return this.#pseudo === 1 << KIND.status && this.status !== 101;
  }

  /** Trailers have no pseudo-headers, and none of theirs frames or routes the message (RFC 9110 §6.5.1). */
  get areTrailers(): boolean {
    return this.#pseudo === 0 && this.contentLength < 0 && this.host === undefined;
  }
}
