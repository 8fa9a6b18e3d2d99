/** What one side of an HTTP/1 connection writes: heads and small bodies are joined, so that a usual message is one write. */
import type { Socket } from 'node:net';
import { writeTo } from './read-buffer.ts';

/** Body pieces up to this size are copied behind the head; larger ones are written as they are. */
const JOIN_LIMIT = 16 * 1024;

export class Output {
  readonly #socket: Socket;
  #text = '';
  #blocked = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** True from a write that filled the socket's buffer until its `drain`. */
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
    if (!writeTo(this.#socket, data)) this.#blocked = true;
  }

  /** Writes what is held back. Returns false while the socket is full. */
  flush(): boolean {
    if (this.#text !== '') {
      const text = this.#text;
      this.#text = '';
      if (!this.#socket.write(text, 'latin1')) this.#blocked = true;
    }
    return !this.#blocked;
  }

  /** The socket's `drain` came. */
  drained(): void {
    this.#blocked = false;
  }
}
