/**
 * A transport on the stream handle under a `net.Socket`: reads go straight into lent memory and writes straight to the handle. The socket stays the owner of the
 * connection: its end, its errors, half-closing and closing go through it, so that they are what Node makes of them, and whoever waits for its `close` is told.
 */

import { TLSSocket } from 'node:tls';
import { getSystemErrorName } from 'node:util';
import type { Address } from '../types.ts';
import type { StreamHandle, StreamInternals, WriteRequest } from './internals.ts';
import { addressOf, HIGH_WATER, hearClose, hearEnd, IdleTimer, resetSocket, systemError } from './socket-side.ts';
import type { StreamSocket } from './stream-socket.ts';
import type { ByteReader, Transport, TransportEvents } from './transport.ts';

/** The request of the next write: nearly all writes end at once, and leave theirs as it was. */
let spare: WriteRequest | undefined;

/** Into which TLS puts what it has decrypted already when its reading is stopped: as much as it gives at once. */
const OVERFLOW = Buffer.allocUnsafeSlow(16 * 1024);

export class HandleTransport implements Transport {
  readonly localAddress: Address;
  readonly #socket: StreamSocket;
  readonly #handle: StreamHandle;
  readonly #internals: StreamInternals;
  #reader: ByteReader;
  #events: TransportEvents;
  readonly #halfOpen: boolean;
  readonly #overflows: boolean;
  #lent: Buffer | undefined;
  /** What came and the reader has not had yet, and whether the end came behind it. */
  readonly #held: Buffer[] = [];
  #endHeld = false;
  #giving = false;
  #reading = false;
  #paused = true;
  /** Bytes of the write that the system has not done. */
  #inFlight = 0;
  /** What waits for that write: TLS does one at a time. */
  #waiting: (string | Buffer)[] = [];
  #waitingBytes = 0;
  #ending: 'no' | 'half' | 'whole' = 'no';
  #idle: IdleTimer | undefined;

  constructor(socket: StreamSocket, handle: StreamHandle, internals: StreamInternals, reader: ByteReader, events: TransportEvents) {
    this.#socket = socket;
    this.#handle = handle;
    this.#internals = internals;
    this.#reader = reader;
    this.#events = events;
    this.localAddress = addressOf(socket);
    this.#overflows = socket instanceof TLSSocket;
    socket.pause();
    // From here on the socket takes it that it reads already, and never starts to by itself.
    handle.reading = true;
    handle.readStop();
    hearClose(socket, (error) => this.#events.closed(error));
    this.#halfOpen = socket.allowHalfOpen;
    // Left to itself, the socket would not wait for what waits here.
    socket.allowHalfOpen = true;
  }

  handTo(reader: ByteReader, events: TransportEvents): void {
    this.#reader = reader;
    this.#events = events;
  }

  get destroyed(): boolean {
    return this.#socket.destroyed;
  }

  get pending(): number {
    return this.#inFlight + this.#waitingBytes;
  }

  writeText(text: string): boolean {
    if (this.#inFlight > 0) return this.#wait(text);
    if (text === '' || !this.#writable) return true;
    const request = this.#request();
    return this.#written(this.#handle.writeLatin1String(request, text), request, text.length, undefined);
  }

  write(bytes: Buffer): boolean {
    if (this.#inFlight > 0) return this.#wait(bytes);
    if (bytes.length === 0 || !this.#writable) return true;
    const request = this.#request();
    return this.#written(this.#handle.writeBuffer(request, bytes), request, bytes.length, bytes);
  }

  pause(): void {
    this.#paused = true;
    this.#readStop();
  }

  resume(): void {
    this.#paused = false;
    this.readOn();
  }

  readOn(): void {
    if (!this.#mayRead) return;
    if (this.#lent === undefined) {
      this.#handle.onread = this.#onRead;
      hearEnd(this.#socket, this.#onEnd);
      // What the socket had read before; TLS may bring it bytes until now.
      const early = unread(this.#socket);
      if (early) this.#held.push(early);
    }
    if (this.#lent === undefined || this.#lent === OVERFLOW) {
      this.#lent = this.#reader.buffer();
      this.#handle.useUserBuffer(this.#lent);
    }
    if (!this.#giveHeld()) return;
    this.#reading = true;
    const error = this.#handle.readStart();
    if (error < 0) this.#fail(error, 'read');
  }

  get #mayRead(): boolean {
    return !this.#paused && !this.#reading && !this.#giving && !this.#socket.destroyed;
  }

  /** Whether the reader has had all that is held, and wants more. */
  #giveHeld(): boolean {
    let more = true;
    this.#giving = true;
    while (more && this.#held.length > 0 && !this.#paused && !this.#socket.destroyed) more = this.#reader.took(this.#held.shift()!);
    this.#giving = false;
    if (!more || this.#held.length > 0 || !this.#mayRead) return false;
    if (this.#endHeld) this.#tellEnd();
    return !this.#endHeld;
  }

  end(): void {
    if (this.#ending !== 'no') return;
    this.#ending = 'half';
    if (this.#inFlight === 0) this.#finish();
  }

  destroySoon(): void {
    if (this.#ending === 'whole') return;
    this.#ending = 'whole';
    if (this.#inFlight === 0) this.#finish();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  reset(): void {
    resetSocket(this.#socket);
  }

  onIdle(ms: number, idle: () => void): void {
    this.#idle = new IdleTimer(this.#socket, ms, () => this.#handle.writeQueueSize, idle);
  }

  readonly #onRead = (): Buffer | undefined => {
    const { state, readLength } = this.#internals;
    const length = state[readLength]!;
    if (length <= 0) {
      if (length < 0) this.#readEnded(length);
      return undefined;
    }
    this.#idle?.active();
    // Of TLS: stopping keeps no record back that has been decrypted, and what was lent before may be written just now.
    if (!this.#reading) {
      this.#held.push(Buffer.from(this.#lent!.subarray(0, length)));
      return undefined;
    }
    if (!this.#reader.filled(length)) this.#readStop();
    const next = this.#reading || !this.#overflows ? this.#reader.buffer() : OVERFLOW;
    if (next === this.#lent) return undefined;
    this.#lent = next;
    return next;
  };

  readonly #onEnd = (): void => {
    this.#events.ended();
    if (!this.#halfOpen) this.end();
  };

  /** The end, or an error. */
  #readEnded(code: number): void {
    this.#reading = false;
    if (this.#socket.destroyed) return;
    if (getSystemErrorName(code) !== 'EOF') {
      this.#fail(code, 'read');
      return;
    }
    if (this.#held.length > 0) this.#endHeld = true;
    else this.#tellEnd();
  }

  /** The socket says that it has ended, and ends with it what it ends by itself. */
  #tellEnd(): void {
    this.#socket.push(null);
    this.#socket.resume();
  }

  #readStop(): void {
    if (!this.#reading) return;
    this.#reading = false;
    if (!this.#socket.destroyed) this.#handle.readStop();
  }

  /** False where the peer could not be told anything any more. */
  get #writable(): boolean {
    return this.#ending === 'no' && !this.#socket.destroyed;
  }

  #request(): WriteRequest {
    spare ??= new this.#internals.WriteWrap();
    // Before the write: TLS that cannot pass its record on says so within it.
    spare.oncomplete = this.#onWritten;
    return spare;
  }

  /** What came of a write that was given to the system. */
  #written(error: number, request: WriteRequest, length: number, bytes: unknown): boolean {
    this.#idle?.active();
    if (error !== 0) {
      this.#fail(error, 'write');
      return true;
    }
    const { state, writesLater } = this.#internals;
    if (state[writesLater] === 0) return true;
    spare = undefined;
    request.bytes = bytes;
    this.#inFlight = length;
    return length < HIGH_WATER;
  }

  #wait(piece: string | Buffer): boolean {
    if (this.#writable) {
      this.#waiting.push(piece);
      this.#waitingBytes += piece.length;
    }
    return this.pending < HIGH_WATER;
  }

  readonly #onWritten = (status: number): void => {
    this.#inFlight = 0;
    if (this.#socket.destroyed) return;
    this.#idle?.active();
    if (status < 0) {
      this.#fail(status, 'write');
      return;
    }
    if (this.#waiting.length > 0) this.#writeWaiting();
    if (this.#inFlight > 0 || this.#socket.destroyed) return;
    if (this.#ending === 'no') this.#events.drained();
    else this.#finish();
  };

  #writeWaiting(): void {
    const pieces = this.#waiting;
    const length = this.#waitingBytes;
    this.#waiting = [];
    this.#waitingBytes = 0;
    const withEncodings = pieces.flatMap((piece) => [piece, typeof piece === 'string' ? 'latin1' : 'buffer']);
    const request = this.#request();
    this.#written(this.#handle.writev(request, withEncodings, false), request, length, pieces);
  }

  /** Everything is written. */
  #finish(): void {
    if (this.#socket.destroyed) return;
    if (this.#ending === 'whole') this.#socket.destroySoon();
    else this.#socket.end();
  }

  #fail(code: number, call: 'read' | 'write'): void {
    this.#socket.destroy(systemError(code, call));
  }
}

function unread(socket: StreamSocket): Buffer | undefined {
  const pieces: Buffer[] = [];
  for (let piece = socket.read() as Buffer | null; piece !== null; piece = socket.read() as Buffer | null) pieces.push(piece);
  return pieces.length > 1 ? Buffer.concat(pieces) : pieces[0];
}
