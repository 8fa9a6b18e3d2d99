/** What an HTTP/2 connection sends: its frames, within the peer's windows, and its streams in turns where these or the way hold them back. */
import type { BlockLimits } from '../../../http/h2/field-block.ts';
import type { FloodGuard } from '../../../http/h2/flood-guard.ts';
import { ConnectionError, DEFAULT_WINDOW, ERROR, FLAG, FRAME, MAX_WINDOW, PREFACE, SETTING } from '../../../http/h2/protocol.ts';
import type { HeaderMap } from '../../../http/header-map.ts';
import type { Transport } from '../../net/transport.ts';
import { HeadWriter } from './head-writer.ts';
import { Output } from './output.ts';

export interface SessionSettings extends BlockLimits {
  readonly server: boolean;
  /** Bytes of the windows that the peer has. */
  readonly streamWindow: number;
  readonly connectionWindow: number;
  /** Streams that a client may have at a time. */
  readonly maxStreams: number;
  readonly extendedConnect: boolean;
}

/** A stream as its session sends it on. */
export interface SendingStream {
  readonly id: number;
  sendWindow: number;
  /** Sends one frame of what waits; true where more could go. */
  sendQueued(): boolean;
  /** Where it waits for that: more may be sent. */
  tellDrained(): void;
}

export class Sending {
  readonly #guard: FloodGuard;
  readonly #output: Output;
  readonly #heads: HeadWriter;
  /** Of the connection. */
  #window = DEFAULT_WINDOW;
  /** Streams that have something to send and a window for it, in turns. */
  readonly #ready = new Set<SendingStream>();
  /** Streams that wait for nothing but the way. */
  readonly #waits = new Set<SendingStream>();
  #stopped = false;

  constructor(transport: Transport, guard: FloodGuard) {
    this.#guard = guard;
    this.#output = new Output(transport);
    this.#heads = new HeadWriter(this.#output);
  }

  /** The way to the peer takes no more just now. */
  get blocked(): boolean {
    return this.#output.blocked;
  }

  /** The peer does not read: nothing more should be asked of it. */
  get congested(): boolean {
    return this.#output.congested;
  }

  /** Nothing more is sent; what was goes out. */
  stop(): void {
    this.#output.flush();
    this.#stopped = true;
  }

  // --- of the connection

  greet({ server, streamWindow, connectionWindow, maxStreams, maxHeadBytes, extendedConnect }: SessionSettings): void {
    const settings: [id: number, value: number][] = [
      [SETTING.initialWindowSize, streamWindow],
      [SETTING.maxHeaderListSize, maxHeadBytes],
    ];
    if (server) settings.push([SETTING.maxConcurrentStreams, maxStreams]);
    else settings.push([SETTING.enablePush, 0]);
    if (server && extendedConnect) settings.push([SETTING.enableConnectProtocol, 1]);
    const payload = Buffer.alloc(settings.length * 6);
    for (const [index, [id, value]] of settings.entries()) {
      payload.writeUInt16BE(id, index * 6);
      payload.writeUInt32BE(value, index * 6 + 2);
    }
    if (!server) {
      const room = this.#output.room(PREFACE.length);
      PREFACE.copy(room, this.#output.at);
      this.#output.advance(this.#output.at + PREFACE.length);
    }
    this.#output.bytes(FRAME.settings, 0, 0, payload);
    if (connectionWindow > DEFAULT_WINDOW) this.updateWindow(0, connectionWindow - DEFAULT_WINDOW);
  }

  acknowledgeSettings(): void {
    if (!this.#stopped) this.#output.frame(FRAME.settings, FLAG.ack, 0, 0);
  }

  ping(payload: Buffer, ack: boolean): void {
    if (!this.#stopped) this.#output.bytes(FRAME.ping, ack ? FLAG.ack : 0, 0, payload);
  }

  goaway(lastStream: number, code: number): void {
    if (!this.#stopped) this.#output.numbers(FRAME.goaway, 0, lastStream, code);
  }

  /** Of stream 0: of the connection. */
  updateWindow(stream: number, bytes: number): void {
    if (!this.#stopped) this.#output.numbers(FRAME.windowUpdate, stream, bytes);
  }

  reset(stream: number, code: number): void {
    if (!this.#stopped) this.#output.numbers(FRAME.reset, stream, code);
  }

  /** SETTINGS_HEADER_TABLE_SIZE of the peer. */
  tableSize(bytes: number): void {
    this.#heads.tableSize(bytes);
  }

  // --- of streams

  /** `pseudo`: names and values. */
  head(stream: number, pseudo: readonly string[], headers: HeaderMap, end: boolean): void {
    if (!this.#stopped) this.#heads.write(stream, pseudo, headers, end);
  }

  responseHead(stream: number, status: number, headers: HeaderMap, end: boolean): void {
    if (!this.#stopped) this.#heads.writeResponse(stream, status, headers, end);
  }

  /** How much of the stream's body may go now. */
  room(stream: SendingStream): number {
    return this.#stopped || this.#output.blocked ? 0 : Math.min(stream.sendWindow, this.#window);
  }

  /** A piece of body, for which there is room. */
  data(stream: SendingStream, data: Buffer, from: number, to: number): void {
    this.#window -= to - from;
    stream.sendWindow -= to - from;
    this.#guard.sent(to - from);
    this.#output.data(stream.id, data, from, to);
  }

  endData(stream: number): void {
    if (!this.#stopped) this.#output.endData(stream);
  }

  /** The stream has something to send, and a window. */
  ready(stream: SendingStream): void {
    this.#ready.add(stream);
  }

  /** The stream is to be told when the way is free. */
  waits(stream: SendingStream): void {
    this.#waits.add(stream);
  }

  forget(stream: SendingStream): void {
    this.#ready.delete(stream);
    this.#waits.delete(stream);
  }

  /** The peer takes more of all streams together. Throws a ConnectionError where that is too much. */
  widen(increment: number): void {
    this.#window += increment;
    if (this.#window > MAX_WINDOW) throw new ConnectionError(ERROR.flowControl, 'a window that is too large');
    this.pump();
  }

  /** Sends what may go, one frame of each stream after the other. */
  pump(): void {
    while (this.#ready.size > 0 && this.#window > 0 && !this.#output.blocked && !this.#stopped) {
      const stream = this.#ready.values().next().value!;
      this.#ready.delete(stream);
      if (stream.sendQueued()) this.#ready.add(stream);
    }
  }

  /** The way is free again. */
  drained(): void {
    this.#output.drained();
    if (this.#stopped) return;
    this.pump();
    if (this.#output.blocked) return;
    for (const stream of [...this.#waits]) if (this.#waits.delete(stream)) stream.tellDrained();
  }
}
