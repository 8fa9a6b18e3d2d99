/**
 * A TCP connection without a `net.Socket`: the stream handle, accepted or connected, and as much of the socket as listeners, clusters and transports use.
 * Making a `net.Socket` of each, with its two stream states, and ending it costs more than the request that most connections carry; whoever needs one of an
 * accepted connection (TLS does) asks for it (`nodeSocket`).
 */
import { EventEmitter } from 'node:events';
import { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { StreamInternals, TcpHandle } from './internals.ts';
import { systemError } from './socket-side.ts';
import type { StreamSocket } from './stream-socket.ts';

export class BareSocket extends EventEmitter implements StreamSocket {
  allowHalfOpen = true;
  destroyed = false;
  readableEnded = false;
  /** As `net.Socket` has it; transports look for it there. */
  readonly _handle: TcpHandle;
  readonly #internals: StreamInternals;
  #reading = false;
  /** What came while nobody listened. */
  readonly #unread: Buffer[] = [];
  /** The peer's end has come; `end` may not have been told yet. */
  #peerEnded = false;
  #ending: 'no' | 'half' | 'whole' = 'no';
  /** Our side is shut down, with everything before it. */
  #finished = false;
  #givenAway = false;
  #peer: NamedAddress | undefined;
  #own: NamedAddress | undefined;

  constructor(handle: TcpHandle, internals: StreamInternals) {
    super();
    this._handle = handle;
    this.#internals = internals;
    handle.reading = false;
    handle.onread = this.#onRead;
  }

  get remoteAddress(): string | undefined {
    return this.#remote.address;
  }

  get remotePort(): number | undefined {
    return this.#remote.port;
  }

  get localAddress(): string | undefined {
    return this.#local.address;
  }

  get localPort(): number | undefined {
    return this.#local.port;
  }

  get #remote(): NamedAddress {
    this.#peer ??= named((address) => this._handle.getpeername(address));
    return this.#peer;
  }

  get #local(): NamedAddress {
    this.#own ??= named((address) => this._handle.getsockname(address));
    return this.#own;
  }

  get bytesRead(): number {
    return this._handle.bytesRead;
  }

  get bytesWritten(): number {
    return this._handle.bytesWritten;
  }

  pause(): void {
    if (!this.#reading) return;
    this.#reading = false;
    if (!this.destroyed) this._handle.readStop();
  }

  resume(): void {
    if (this.#reading || this.#peerEnded || this.destroyed) return;
    this.#reading = true;
    const error = this._handle.readStart();
    if (error < 0) this.destroy(systemError(error, 'read'));
  }

  read(): Buffer | null {
    return this.#unread.shift() ?? null;
  }

  push(_end: null): void {
    if (this.#peerEnded) return;
    this.#peerEnded = true;
    process.nextTick(() => {
      if (this.destroyed) return;
      this.readableEnded = true;
      this.emit('end');
      if (!this.allowHalfOpen) this.end();
      this.#closeIfOver();
    });
  }

  write(bytes: string | Buffer): void {
    if (this.destroyed || this.#ending !== 'no') return;
    const request = new this.#internals.WriteWrap();
    request.bytes = bytes;
    request.oncomplete = (status) => {
      if (status < 0) this.destroy(systemError(status, 'write'));
    };
    const handle = this._handle;
    const error = typeof bytes === 'string' ? handle.writeLatin1String(request, bytes) : handle.writeBuffer(request, bytes);
    if (error !== 0) this.destroy(systemError(error, 'write'));
  }

  end(): void {
    if (this.destroyed || this.#ending !== 'no') return;
    this.#ending = 'half';
    const request = new this.#internals.ShutdownWrap();
    request.oncomplete = () => {
      this.#finished = true;
      if (this.#ending === 'whole') this.destroy();
      else this.#closeIfOver();
    };
    // A connection that the peer has reset says so to whoever reads.
    if (this._handle.shutdown(request) !== 0) this.destroy();
  }

  destroySoon(): void {
    // Closing ends our side, too: with what the system has taken before it.
    if (this._handle.writeQueueSize === 0 || this.#finished) {
      this.destroy();
      return;
    }
    this.end();
    this.#ending = 'whole';
  }

  destroy(error?: Error): void {
    if (this.#forgetHandle()) this._handle.close(() => this.#closed(error));
  }

  resetAndDestroy(): void {
    if (!this.#forgetHandle()) return;
    const closed = () => this.#closed(undefined);
    if (this._handle.reset(closed) !== 0) this._handle.close(closed);
  }

  /** The connection as a `net.Socket`, which owns it from now on; of one that is over, a socket that is over too. */
  toNodeSocket(): Socket {
    // A handle that is closed never tells another owner so.
    if (this.destroyed) return new Socket().destroy();
    if (this.#givenAway) throw new Error('the connection has a net.Socket already');
    this.pause();
    this.#givenAway = true;
    const { allowHalfOpen, _handle: handle } = this;
    // As a server of Node makes its own; not all of it is among the options that Node publishes.
    const options: object = { handle, allowHalfOpen, pauseOnCreate: true, readable: true, writable: true };
    const socket = new Socket(options);
    for (const bytes of this.#unread.reverse()) socket.unshift(bytes);
    // As here, errors that nobody listens for end the connection alone, and not the process.
    socket.on('error', () => undefined);
    return socket;
  }

  #forgetHandle(): boolean {
    if (this.destroyed) return false;
    this.destroyed = true;
    this.#reading = false;
    return true;
  }

  #closed(error: Error | undefined): void {
    if (error && this.listenerCount('error') > 0) this.emit('error', error);
    this.emit('close');
  }

  #closeIfOver(): void {
    if (this.#finished && this.readableEnded) this.destroy();
  }

  readonly #onRead = (memory?: ArrayBuffer): undefined => {
    const { state, readLength, readOffset } = this.#internals;
    const length = state[readLength]!;
    if (length > 0) this.#came(Buffer.from(memory!, state[readOffset], length));
    else if (length < 0 && !this.destroyed) this.#readEnded(length);
  };

  #came(bytes: Buffer): void {
    if (this.emit('data', bytes)) return;
    this.pause();
    this.#unread.push(bytes);
    this.emit('readable');
  }

  #readEnded(code: number): void {
    this.#reading = false;
    if (getSystemErrorName(code) === 'EOF') this.push(null);
    else this.destroy(systemError(code, 'read'));
  }
}

/** Whoever takes a connection as a `net.Socket` has it as one, and as nothing else from then on. */
export function nodeSocket(socket: StreamSocket): Socket {
  return socket instanceof BareSocket ? socket.toNodeSocket() : (socket as Socket);
}

interface NamedAddress {
  address?: string;
  port?: number;
}

function named(ask: (address: NamedAddress) => number): NamedAddress {
  const address: NamedAddress = {};
  ask(address);
  return address;
}
