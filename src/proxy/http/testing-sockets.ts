/** Raw clients and upstreams for tests: they wait for bytes, not for time. */
import { once } from 'node:events';
import net from 'node:net';

/** A connection that gathers what it reads. */
export class Wire {
  readonly socket: net.Socket;
  text = '';
  ended = false;
  readonly #waiting: { readonly done: () => boolean; readonly resolve: () => void }[] = [];

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (data: Buffer) => {
      this.text += data.toString('latin1');
      this.#wake();
    });
    const end = () => {
      this.ended = true;
      this.#wake();
    };
    socket.on('end', end);
    socket.on('close', end);
    socket.on('error', end);
  }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  /** Waits until everything read so far holds `needle` (`count` times), or the connection ends. */
  async until(needle: string, count = 1): Promise<string> {
    await this.wait(() => this.text.split(needle).length > count || this.ended);
    return this.text;
  }

  /** Waits for the end of the connection. */
  async end(): Promise<string> {
    await this.wait(() => this.ended);
    return this.text;
  }

  /** What has been read, which is forgotten. */
  take(): string {
    const { text } = this;
    this.text = '';
    return text;
  }

  wait(done: () => boolean): Promise<void> {
    if (done()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ done, resolve }));
  }

  #wake(): void {
    for (const waiter of this.#waiting.slice()) {
      if (!waiter.done()) continue;
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      waiter.resolve();
    }
  }
}

export async function dial(port: number): Promise<Wire> {
  const socket = net.connect({ port, host: '127.0.0.1' });
  const wire = new Wire(socket);
  await once(socket, 'connect');
  return wire;
}

export interface RawUpstream {
  readonly port: number;
  /** Every connection, in order. */
  readonly wires: Wire[];
  /** The connection number `index`, as soon as it is there. */
  wire(index: number): Promise<Wire>;
  close(): Promise<void>;
}

/** A server that does what `onWire` does; without it, nothing. */
export async function rawUpstream(onWire: (wire: Wire, index: number) => void = () => undefined): Promise<RawUpstream> {
  const wires: Wire[] = [];
  const waiting: { readonly index: number; readonly resolve: (wire: Wire) => void }[] = [];
  const server = net.createServer((socket) => {
    const wire = new Wire(socket);
    wires.push(wire);
    onWire(wire, wires.length - 1);
    for (const waiter of waiting) if (waiter.index === wires.length - 1) waiter.resolve(wire);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    wires,
    wire(index) {
      const wire = wires[index];
      return wire ? Promise.resolve(wire) : new Promise((resolve) => waiting.push({ index, resolve }));
    },
    async close() {
      for (const wire of wires) wire.socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers each request head (bodies are not looked at) with what `answer` gives; `connection` counts from 0. */
export function answering(answer: (head: string, connection: number) => string): Promise<RawUpstream> {
  return rawUpstream((wire, index) => {
    let pending = '';
    wire.socket.on('data', (data: Buffer) => {
      pending += data.toString('latin1');
      for (let end = pending.indexOf('\r\n\r\n'); end >= 0; end = pending.indexOf('\r\n\r\n')) {
        const head = pending.slice(0, end + 4);
        pending = pending.slice(end + 4);
        const length = Number(/content-length: (\d+)/.exec(head)?.[1] ?? 0);
        pending = pending.slice(length);
        wire.send(answer(head, index));
      }
    });
  });
}

export function response(body: string, fields = ''): string {
  return `HTTP/1.1 200 OK\r\n${fields}content-length: ${body.length}\r\n\r\n${body}`;
}

/** An upstream that echoes the head that it got as the body of its answer. */
export function echo(): Promise<RawUpstream> {
  return answering((head) => response(head));
}

/** Writes as fast as the other side takes it: numbers of four bytes, from 0 on. */
export class Flood {
  readonly total: number;
  written = 0;

  /** `total`: bytes, a multiple of 64 KiB. */
  constructor(total: number) {
    this.total = total;
  }

  start(socket: net.Socket): void {
    const more = (): void => {
      while (this.written < this.total) {
        const first = this.written / 4;
        const piece = Buffer.from(Uint32Array.from({ length: 16 * 1024 }, (_, i) => first + i).buffer);
        this.written += piece.length;
        if (!socket.write(piece)) {
          socket.once('drain', more);
          return;
        }
      }
    };
    more();
  }

  /** Resolves once no side can move a byte: nothing was written for 100 ms. */
  async atRest(): Promise<void> {
    let before = -1;
    for (let still = 0; still < 50; still = this.written === before ? still + 1 : 0) {
      before = this.written;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

/** Throws where the bytes of a flood are not what they were. */
export function assertInOrder(flood: Buffer): void {
  const numbers = new Uint32Array(flood.buffer.slice(flood.byteOffset, flood.byteOffset + flood.length));
  const wrong = numbers.findIndex((number, i) => number !== i);
  if (wrong >= 0) throw new Error(`at byte ${wrong * 4} of ${flood.length} stands ${numbers[wrong]! * 4}`);
}
