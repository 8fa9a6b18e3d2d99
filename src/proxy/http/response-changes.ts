/** What filters make of a response on its way to the client: its head, and how its body is encoded. */
import type { ResponseMark } from '../../http/filters/filter.ts';
import type { HeaderMap } from '../../http/header-map.ts';
import { BodyEncoder } from './body-encoder.ts';

export const NOTHING = Buffer.alloc(0);

export class ResponseChanges {
  readonly #marks: ResponseMark[] = [];
  #encoder: BodyEncoder | undefined;

  add(mark: ResponseMark): void {
    this.#marks.push(mark);
  }

  /** `end`: no body follows. */
  head(headers: HeaderMap, status: number, end: boolean): void {
    // The last filter is the first on the way back.
    for (let i = this.#marks.length - 1; i >= 0; i--) {
      const encoding = this.#marks[i]!(headers, status, end);
      if (encoding) this.#encoder ??= new BodyEncoder(encoding);
    }
  }

  /** What is sent of the body for this piece of it; `last`: nothing follows. */
  encoded(data: Buffer, last: boolean): Buffer {
    return this.#encoder ? this.#encoder.encode(data, last) : data;
  }

  /** The response is over. */
  close(): void {
    this.#encoder?.close();
    this.#encoder = undefined;
  }
}
