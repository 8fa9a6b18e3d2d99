/** What one side of an HTTP/1 connection writes: heads and small bodies are joined, so that a usual message is one write. */
import { writeTo } from '../../net/read-buffer.ts';
import type { Transport } from '../../net/transport.ts';

/** Body pieces up to this size are copied behind the head; larger ones are written as they are. */
const JOIN_LIMIT = 16 * 1024;

export class Output {
  readonly #transport: Transport;
  #text = '';
  #blocked = false;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** True from a write that left too much pending until `drained`. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Latin-1 text, held back until `flush`. */
  text(text: string): void {
    this.#text += text;
  }

  /** Body bytes; held back while they are few. */
  data(data: Buffer): void {
    if (this.#text.length + data.length <= JOIN_LIMIT) {
      this.#text += data.toString('latin1');
      return;
    }
    this.flush();
    if (!writeTo(this.#transport, data)) this.#blocked = true;
  }

  /** Writes what is held back. Returns false while too much is pending. */
  flush(): boolean {
    if (this.#text !== '') {
      const text = this.#text;
      this.#text = '';
      if (!this.#transport.writeText(text)) this.#blocked = true;
    }
    return !this.#blocked;
  }

  /** The transport's `drained` came. */
  drained(): void {
    this.#blocked = false;
  }
}
