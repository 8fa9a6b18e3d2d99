/** Writes the responses of one HTTP/1 connection, one after the other. */
import { encodeTrailers, LAST_CHUNK, statusHasNoBody, statusLine } from '../../../http/h1/encode.ts';
import type { HeaderMap } from '../../../http/header-map.ts';
import type { Output } from './out.ts';

/** What ends the body: a length or nothing of HTTP's (a tunnel), the last chunk, the connection's end; or there is none. */
type Framing = 'as-it-is' | 'chunked' | 'until-close' | 'none';

export class ResponseWriter {
  readonly #out: Output;
  /** Trailers go through (`enable_trailers`). */
  readonly #trailers: boolean;
  #framing: Framing = 'as-it-is';
  /** The version that the client speaks. */
  #minor = 1;

  constructor(out: Output, trailers: boolean) {
    this.#out = out;
    this.#trailers = trailers;
  }

  /** Before each response; `minor` is that of the request. */
  begin(minor: number): void {
    this.#framing = 'as-it-is';
    this.#minor = minor;
  }

  /** The client can tell the response's end only by that of the connection. */
  get endsWithConnection(): boolean {
    return this.#framing === 'until-close';
  }

  /** `end`: nothing follows; `method`: the request's; `last`: no request follows. Returns whether none can follow. */
  head(status: number, headers: HeaderMap, end: boolean, method: string, last: boolean): boolean {
    const { flat } = headers;
    const bodiless = method === 'HEAD' || statusHasNoBody(status);
    let text = statusLine(status, this.#minor);
    let framed = false;
    for (let i = 0; i < flat.length; i += 2) {
      const name = flat[i]!;
      if (name === 'content-length') {
        // Neither 1xx nor 204 may have one (RFC 9110 §8.6).
        if (status === 204) continue;
        framed = true;
      } else if (name === 'connection' || name === 'upgrade') continue;
      text += `${name}: ${flat[i + 1]}\r\n`;
    }
    let closes = last;
    this.#framing = bodiless ? 'none' : 'as-it-is';
    if (!bodiless && !framed) {
      if (end) text += 'content-length: 0\r\n';
      else if (this.#minor === 1) {
        this.#framing = 'chunked';
        text += 'transfer-encoding: chunked\r\n';
      } else {
        this.#framing = 'until-close';
        closes = true;
      }
    }
    if (closes) text += 'connection: close\r\n';
    else if (this.#minor === 0) text += 'connection: keep-alive\r\n';
    text += '\r\n';
    this.#out.text(text);
    return closes;
  }

  /** The head that opens a tunnel: what follows it are bytes. */
  tunnelHead(status: number, headers: HeaderMap): void {
    const { flat } = headers;
    let text = statusLine(status, this.#minor);
    for (let i = 0; i < flat.length; i += 2) if (flat[i] !== 'content-length') text += `${flat[i]}: ${flat[i + 1]}\r\n`;
    this.#framing = 'as-it-is';
    this.#out.text(`${text}\r\n`);
    this.#out.flush();
  }

  informational(status: number, headers: HeaderMap): void {
    if (this.#minor === 0) return;
    let text = statusLine(status, this.#minor);
    for (const [name, value] of headers) text += `${name}: ${value}\r\n`;
    this.#out.text(`${text}\r\n`);
    this.#out.flush();
  }

  data(data: Buffer): void {
    if (this.#framing === 'none' || data.length === 0) return;
    if (this.#framing === 'chunked') {
      this.#out.text(`${data.length.toString(16)}\r\n`);
      this.#out.data(data);
      this.#out.text('\r\n');
    } else this.#out.data(data);
  }

  end(trailers: HeaderMap | undefined): void {
    if (this.#framing !== 'chunked') return;
    this.#out.text(trailers && trailers.flat.length > 0 && this.#trailers ? encodeTrailers(trailers) : LAST_CHUNK);
  }
}
