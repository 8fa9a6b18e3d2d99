/**
 * One HTTP/2 connection, of either side (RFC 9113): takes the peer's frames to their streams, keeps both windows, and writes ours. What the peer may not do
 * ends a stream or the connection here; what a message means is its stream's to know.
 */
import { FieldBlock } from '../../../http/h2/field-block.ts';
import { FloodGuard } from '../../../http/h2/flood-guard.ts';
import { type FrameHandler, FrameParser } from '../../../http/h2/frame-parser.ts';
import { HpackDecoder } from '../../../http/h2/hpack-decoder.ts';
import { ConnectionError, DEFAULT_WINDOW, ERROR, LAST_STREAM, MAX_WINDOW, SETTING } from '../../../http/h2/protocol.ts';
import { ReceiveWindow } from '../../../http/h2/receive-window.ts';
import { openTransport } from '../../net/open.ts';
import { Reader } from '../../net/read-buffer.ts';
import type { StreamSocket } from '../../net/stream-socket.ts';
import type { Transport, TransportEvents } from '../../net/transport.ts';
import type { SessionOwner, SessionStream, StreamSession } from './contract.ts';
import { PeerSettings } from './peer-settings.ts';
import { Sending, type SessionSettings } from './sending.ts';
import { StreamNumbers } from './stream-numbers.ts';

/** Text and framing of a head that is not compressed take no more than this times its text. */
const BLOCK_FACTOR = 2;
const BLOCK_SPARE = 16 * 1024;

export class Session implements FrameHandler, TransportEvents, StreamSession {
  readonly now: () => number;
  readonly streamWindow: number;
  readonly transport: Transport;
  readonly sending: Sending;
  readonly peer: PeerSettings;
  readonly #owner: SessionOwner;
  readonly #settings: SessionSettings;
  readonly #parser: FrameParser;
  readonly #decoder = new HpackDecoder();
  readonly #guard: FloodGuard;
  readonly #window: ReceiveWindow;
  readonly #streams = new Map<number, SessionStream>();
  readonly #numbers = new StreamNumbers();
  #touched: SessionStream[] = [];
  /** GOAWAY has gone out: streams beyond the one that it names are not looked at. */
  #goawaySent = false;
  #lastTaken = 0;
  #over = false;
  /** Reading waits until the peer has taken what was written. */
  #congested = false;
  // A DATA frame that is under way: its stream, and its bytes of the windows.
  #current: SessionStream | undefined = undefined;
  #currentLength = 0;

  /** Reads nothing before `start`. `early`: bytes that were read before. */
  constructor(socket: StreamSocket | Transport, owner: SessionOwner, settings: SessionSettings, now: () => number) {
    this.now = now;
    this.#owner = owner;
    this.#settings = settings;
    this.streamWindow = settings.streamWindow;
    const reader = new Reader(this.#read);
    this.transport = openTransport(socket, reader, this);
    reader.transport = this.transport;
    this.peer = new PeerSettings(settings.server);
    this.#guard = new FloodGuard(now);
    this.sending = new Sending(this.transport, this.#guard);
    this.#parser = new FrameParser(this, settings.server, { block: settings.maxHeadBytes * BLOCK_FACTOR + BLOCK_SPARE });
    this.sending.greet(settings);
    this.#window = new ReceiveWindow(Math.max(DEFAULT_WINDOW, settings.connectionWindow));
  }

  start(early: Buffer | undefined): void {
    if (early && early.length > 0) this.#read(early);
    if (!this.#congested) this.transport.resume();
  }

  get over(): boolean {
    return this.#over;
  }

  get streams(): number {
    return this.#streams.size;
  }

  // --- what the peer sends

  readonly #read = (data: Buffer): void => {
    if (this.#over) return;
    try {
      this.#parser.execute(data);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.#tellTouched();
      this.#fail(error);
      return;
    }
    this.#tellTouched();
    if (this.#over) return;
    this.#owner.readEnded(this.#parser.unfinished);
    if (this.sending.congested && !this.#congested) {
      this.#congested = true;
      this.transport.pause();
    }
  };

  #tellTouched(): void {
    if (this.#touched.length === 0) return;
    const touched = this.#touched;
    this.#touched = [];
    for (const stream of touched) {
      stream.touched = false;
      stream.receivedAll();
    }
  }

  #touch(stream: SessionStream): void {
    if (stream.touched) return;
    stream.touched = true;
    this.#touched.push(stream);
  }

  dataBegins(id: number, length: number): void {
    if (!this.#window.take(length)) throw new ConnectionError(ERROR.flowControl, 'more than the window of the connection holds');
    this.#currentLength = length;
    const stream = this.#streams.get(id);
    this.#current = stream;
    if (stream === undefined) this.#toClosed(id);
    else if (stream.remoteEnded) this.breakStream(stream, ERROR.streamClosed);
    else if (!stream.takeWindow(length)) this.breakStream(stream, ERROR.flowControl);
  }

  dataPiece(bytes: Buffer): void {
    this.#currentLength -= bytes.length;
    const stream = this.#current;
    if (stream === undefined || stream.closed) {
      this.consume(bytes.length);
      return;
    }
    if (stream.expected >= 0) {
      stream.expected -= bytes.length;
      if (stream.expected < 0) {
        this.consume(bytes.length);
        this.breakStream(stream, ERROR.protocol);
        return;
      }
    }
    this.#touch(stream);
    stream.dataCame(bytes);
  }

  dataEnds(payload: number, end: boolean): void {
    const stream = this.#current;
    this.#current = undefined;
    if (stream === undefined || stream.closed) {
      this.consume(this.#currentLength);
      if (payload === 0) this.#guard.idle();
      return;
    }
    // What is left is padding.
    if (this.#currentLength > 0) stream.consume(this.#currentLength);
    if (payload > 0) this.#guard.received();
    else if (!end) this.#guard.idle();
    if (!end) return;
    if (stream.expected > 0) {
      this.breakStream(stream, ERROR.protocol);
      return;
    }
    this.#touch(stream);
    stream.endCame(undefined);
  }

  headers(id: number, bytes: Buffer, end: boolean, dependency: number): void {
    const block = new FieldBlock(this.#settings);
    this.#decoder.decode(bytes, block);
    if (dependency === id) throw new ConnectionError(ERROR.protocol, 'a stream depends on itself');
    const stream = this.#streams.get(id);
    if (stream) {
      this.#headOf(stream, block, end);
      return;
    }
    if (!this.#settings.server || !this.#numbers.open(id)) {
      if (this.#numbers.isIdle(id)) throw new ConnectionError(ERROR.protocol, 'a stream with a number that the peer may not use');
      this.#guard.idle();
      if (!this.#numbers.wasReset(id)) throw new ConnectionError(ERROR.streamClosed, 'a head on a stream that is over');
      return;
    }
    this.#open(id, block, end);
  }

  /** Trailers, or a response's. */
  #headOf(stream: SessionStream, block: FieldBlock, end: boolean): void {
    if (stream.remoteEnded) {
      this.breakStream(stream, ERROR.streamClosed);
      return;
    }
    if (block.status > 0 && block.status < 200) this.#guard.idle();
    else this.#guard.head();
    this.#touch(stream);
    stream.receivedHead(block, end);
  }

  #open(id: number, block: FieldBlock, end: boolean): void {
    if (this.#goawaySent) {
      // GOAWAY has said so.
      this.#numbers.reset(id);
      this.#guard.idle();
      return;
    }
    if (this.#streams.size >= this.#settings.maxStreams) {
      this.resetStream(id, ERROR.refused);
      this.#guard.idle();
      return;
    }
    this.#lastTaken = id;
    this.#guard.head();
    const stream = this.#owner.opened(block, end);
    if (!stream) {
      this.resetStream(id, ERROR.protocol);
      this.#guard.streamEnded(this.now());
      return;
    }
    this.#add(stream, id);
    stream.expected = block.contentLength;
    this.#touch(stream);
    stream.started(end);
  }

  #add(stream: SessionStream, id: number): void {
    stream.begin(id, this.peer.initialWindow);
    this.#streams.set(id, stream);
  }

  priority(stream: number, dependency: number): void {
    this.#guard.idle();
    if (stream === dependency) throw new ConnectionError(ERROR.protocol, 'a stream depends on itself');
  }

  reset(id: number, code: number): void {
    const stream = this.#streams.get(id);
    this.#guard.idle();
    if (stream) stream.endEarly('peer', code);
    else if (this.#numbers.isIdle(id)) throw new ConnectionError(ERROR.protocol, 'a reset of a stream that is not');
  }

  setting(id: number, value: number): void {
    this.peer.set(id, value);
    if (id === SETTING.headerTableSize) this.sending.tableSize(value);
  }

  settingsEnd(): void {
    this.#guard.idle();
    const change = this.peer.frameEnds();
    for (const stream of change === 0 ? [] : this.#streams.values()) {
      stream.sendWindow += change;
      if (stream.sendWindow > MAX_WINDOW) throw new ConnectionError(ERROR.flowControl, 'a window that is too large');
      if (stream.queues && stream.sendWindow > 0) this.sending.ready(stream);
    }
    this.sending.acknowledgeSettings();
    this.sending.pump();
    this.#owner.settingsCame();
  }

  settingsAcknowledged(): void {
    this.#guard.idle();
  }

  ping(payload: Buffer, ack: boolean): void {
    this.#guard.idle();
    if (ack) this.#owner.pongCame(payload);
    else this.sending.ping(payload, true);
  }

  goaway(lastStream: number, _code: number): void {
    this.#guard.idle();
    // First, so that no refused request is sent on the same way again.
    this.#owner.goawayCame();
    if (this.#settings.server) return;
    for (const [id, stream] of this.#streams) if (id > lastStream) stream.endEarly('peer', ERROR.refused);
  }

  windowUpdate(id: number, increment: number): void {
    this.#guard.idle();
    if (id === 0) {
      if (increment === 0) throw new ConnectionError(ERROR.protocol, 'a window update of nothing');
      this.sending.widen(increment);
      return;
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      if (this.#numbers.isIdle(id)) throw new ConnectionError(ERROR.protocol, 'a window of a stream that is not');
      return;
    }
    stream.sendWindow += increment;
    if (increment === 0) this.breakStream(stream, ERROR.protocol);
    else if (stream.sendWindow > MAX_WINDOW) this.breakStream(stream, ERROR.flowControl);
    else if (stream.queues && stream.sendWindow > 0) {
      this.sending.ready(stream);
      this.sending.pump();
    }
  }

  unknown(): void {
    this.#guard.idle();
  }

  /** DATA of a stream that is none. */
  #toClosed(id: number): void {
    if (this.#numbers.isIdle(id)) throw new ConnectionError(ERROR.protocol, 'DATA of a stream that is not');
    this.#guard.idle();
    if (!this.#numbers.wasReset(id)) this.resetStream(id, ERROR.streamClosed);
  }

  breakStream(stream: SessionStream, code: number): void {
    this.resetStream(stream.id, code);
    stream.endEarly('rules', code);
  }

  // --- what streams do

  /** Opens a stream of ours. */
  openStream(stream: SessionStream): void {
    this.#add(stream, this.#numbers.next());
  }

  /** There is a number for another stream. */
  get hasNumbers(): boolean {
    return this.#numbers.hasMore;
  }

  consume(length: number): void {
    const update = this.#window.give(length);
    if (update > 0) this.sending.updateWindow(0, update);
  }

  resetStream(id: number, code: number): void {
    this.#numbers.reset(id);
    this.sending.reset(id, code);
  }

  streamEnded(stream: SessionStream, began: number | undefined): void {
    this.#streams.delete(stream.id);
    this.sending.forget(stream);
    this.#owner.streamEnded();
    if (this.#settings.server) this.#guard.streamEnded(began);
  }

  // --- the connection

  /** The peer is to open no more streams; those that it opens all the same are still taken. */
  announceEnd(): void {
    if (!this.#goawaySent && !this.#over) this.sending.goaway(LAST_STREAM, ERROR.none);
  }

  /** No new streams; those that run go on. */
  goAway(code: number): void {
    if (this.#goawaySent || this.#over) return;
    this.#goawaySent = true;
    this.sending.goaway(this.#lastTaken, code);
  }

  /** The peer broke the rules: it is told, and all is over. */
  #fail(error: ConnectionError): void {
    if (this.#over) return;
    this.sending.goaway(this.#lastTaken, error.code);
    this.#finish(error);
  }

  /** Ends it: what was written still goes out. */
  close(): void {
    this.#finish(undefined);
  }

  /** Ends it now: what was written may be lost. */
  destroy(): void {
    this.#finish(undefined);
    this.transport.destroy();
  }

  #finish(error: ConnectionError | undefined): void {
    if (this.#over) return;
    this.sending.stop();
    this.#over = true;
    this.#parser.stop();
    for (const stream of [...this.#streams.values()]) stream.endEarly('connection', error?.code ?? ERROR.none);
    // Unread bytes would make the system reset the connection, and lose what was said.
    this.transport.end();
    this.transport.resume();
    this.#owner.ended();
  }

  drained(): void {
    this.sending.drained();
    if (!this.#congested || this.sending.congested) return;
    this.#congested = false;
    this.transport.resume();
  }

  /** The peer says nothing more. */
  ended(): void {
    this.#finish(undefined);
    this.transport.destroySoon();
  }

  closed(): void {
    this.#finish(undefined);
    this.#owner.closed();
  }
}
