/** A transport on the public interface of `net.Socket`: for sockets that are handed back, and where Node's stream handles are not as expected. */
import type { Socket } from 'node:net';
import type { Address } from '../types.ts';
import { addressOf, HIGH_WATER, hearClose, hearEnd, resetSocket } from './socket-side.ts';
import type { ByteReader, Transport, TransportEvents } from './transport.ts';

export class SocketTransport implements Transport {
  readonly localAddress: Address;
  readonly #socket: Socket;
  #reader: ByteReader;
  #events: TransportEvents;
  readonly #stopHearing: () => void;
  #paused = true;
  #started = false;
  /** Something was written that did not go at once. */
  #waits = false;

  constructor(socket: Socket, reader: ByteReader, events: TransportEvents) {
    this.#socket = socket;
    this.#reader = reader;
    this.#events = events;
    this.localAddress = addressOf(socket);
    socket.pause();
    socket.on('data', this.#onData);
    this.#stopHearing = hearClose(socket, (error) => this.#events.closed(error));
  }

  handTo(reader: ByteReader, events: TransportEvents): void {
    this.#reader = reader;
    this.#events = events;
  }

  get destroyed(): boolean {
    return this.#socket.destroyed;
  }

  get pending(): number {
    return this.#socket.writableLength;
  }

  writeText(text: string): boolean {
    if (this.#socket.writable) this.#socket.write(text, 'latin1', this.#onWritten);
    return this.#hasRoom();
  }

  write(bytes: Buffer): boolean {
    if (this.#socket.writable) this.#socket.write(bytes, this.#onWritten);
    return this.#hasRoom();
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.readOn();
  }

  readOn(): void {
    if (this.#paused || this.#socket.destroyed) return;
    if (!this.#started) {
      this.#started = true;
      hearEnd(this.#socket, this.#onEnd);
    }
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroySoon(): void {
    this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  reset(): void {
    resetSocket(this.#socket);
  }

  onIdle(ms: number, idle: () => void): void {
    this.#socket.setTimeout(ms, idle);
  }

  /** Lets go of the socket, which reads nothing until somebody else has it. */
  release(): void {
    this.#socket.pause();
    this.#socket.off('data', this.#onData);
    this.#socket.off('end', this.#onEnd);
    this.#stopHearing();
  }

  readonly #onData = (bytes: Buffer): void => {
    if (!this.#reader.took(bytes)) this.#socket.pause();
  };

  readonly #onEnd = (): void => this.#events.ended();

  #hasRoom(): boolean {
    const { writableLength } = this.#socket;
    if (writableLength > 0) this.#waits = true;
    return writableLength < HIGH_WATER;
  }

  readonly #onWritten = (): void => {
    if (!this.#waits || this.#socket.writableLength > 0 || this.#socket.destroyed) return;
    this.#waits = false;
    if (!this.#socket.writableEnded) this.#events.drained();
  };
}
