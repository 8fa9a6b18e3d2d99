/** Writes heads and trailers as HEADERS, and CONTINUATIONs where one frame does not hold them. */
import { isSent } from '../../../http/h2/headers.ts';
import { blockBound, HpackEncoder } from '../../../http/h2/hpack-encoder.ts';
import { FLAG, FRAME, FRAME_HEAD, MAX_FRAME } from '../../../http/h2/protocol.ts';
import type { HeaderMap } from '../../../http/header-map.ts';
import { type Output, writeFrameHead } from './output.ts';

const STATUS_NAME = ':status';
const STATUSES: readonly string[] = Array.from({ length: 1000 }, (_, status) => String(status));
/** For a status. */
const STATUS_BOUND = 64;

export class HeadWriter {
  readonly #output: Output;
  readonly #encoder = new HpackEncoder();

  constructor(output: Output) {
    this.#output = output;
  }

  /** SETTINGS_HEADER_TABLE_SIZE of the peer. */
  tableSize(bytes: number): void {
    this.#encoder.resize(bytes);
  }

  writeResponse(stream: number, status: number, headers: HeaderMap, end: boolean): void {
    const bound = STATUS_BOUND + blockBound(headers.flat);
    const large = bound > MAX_FRAME ? Buffer.allocUnsafe(bound) : undefined;
    const start = this.#begin(large, bound);
    this.#encoder.field(STATUS_NAME, STATUSES[status] ?? String(status));
    this.#fields(headers);
    this.#end(stream, large, start, end);
  }

  /** `pseudo`: names and values. */
  write(stream: number, pseudo: readonly string[], headers: HeaderMap, end: boolean): void {
    const bound = blockBound(pseudo) + blockBound(headers.flat);
    const large = bound > MAX_FRAME ? Buffer.allocUnsafe(bound) : undefined;
    const start = this.#begin(large, bound);
    for (let i = 0; i < pseudo.length; i += 2) this.#encoder.field(pseudo[i]!, pseudo[i + 1]!);
    this.#fields(headers);
    this.#end(stream, large, start, end);
  }

  #begin(large: Buffer | undefined, bound: number): number {
    if (large) {
      this.#encoder.begin(large, 0);
      return 0;
    }
    const room = this.#output.room(FRAME_HEAD + bound);
    const start = this.#output.at + FRAME_HEAD;
    this.#encoder.begin(room, start);
    return start;
  }

  #fields({ flat }: HeaderMap): void {
    for (let i = 0; i < flat.length; i += 2) {
      const name = flat[i]!;
      if (isSent(name)) this.#encoder.field(name, flat[i + 1]!);
    }
  }

  #end(stream: number, large: Buffer | undefined, start: number, end: boolean): void {
    const at = this.#encoder.end();
    const flags = end ? FLAG.endStream : 0;
    if (!large) {
      const head = start - FRAME_HEAD;
      writeFrameHead(this.#output.room(0), head, FRAME.headers, flags | FLAG.endHeaders, stream, at - start);
      this.#output.advance(at);
      return;
    }
    for (let from = 0; from === 0 || from < at; from += MAX_FRAME) {
      const to = Math.min(at, from + MAX_FRAME);
      const first = from === 0 ? flags : 0;
      const last = to === at ? FLAG.endHeaders : 0;
      this.#output.bytes(from === 0 ? FRAME.headers : FRAME.continuation, first | last, stream, large.subarray(from, to));
    }
  }
}
