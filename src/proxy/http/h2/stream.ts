/** One stream of an HTTP/2 connection, whichever side opened it: its windows, what waits to be sent or to be taken, and its two ends. */
import type { FieldBlock } from '../../../http/h2/field-block.ts';
import { ERROR, MAX_FRAME } from '../../../http/h2/protocol.ts';
import { ReceiveWindow } from '../../../http/h2/receive-window.ts';
import type { HeaderMap } from '../../../http/header-map.ts';
import { own } from '../../net/read-buffer.ts';
import type { CutBy, SessionStream, StreamSession } from './contract.ts';
import type { Sending } from './sending.ts';

/** Bytes of a body that wait to be sent, from which on its source should wait. */
const HIGH_WATER = 64 * 1024;

export abstract class Stream implements SessionStream {
  protected readonly session: StreamSession;
  protected readonly sending: Sending;
  id = 0;
  sendWindow = 0;
  /** We have said our last word, or the peer has. */
  localEnded = false;
  remoteEnded = false;
  closed = false;
  /** What one read brought has not been told to its end. */
  touched = false;
  /** When it began, in ms. */
  readonly began: number;
  /** Bytes of body that are still to come, where a length was said; else -1. */
  expected = -1;
  readonly #window: ReceiveWindow;
  #paused = false;
  #held: Buffer[] | undefined = undefined;
  #endHeld = false;
  #giving = false;
  #receivedTrailers: HeaderMap | undefined = undefined;
  #queue: Buffer[] | undefined = undefined;
  /** Bytes of the first in the queue that have gone. */
  #gone = 0;
  #queued = 0;
  #ending = false;
  #trailers: HeaderMap | undefined = undefined;
  #waits = false;

  constructor(session: StreamSession) {
    this.session = session;
    this.sending = session.sending;
    this.began = session.now();
    this.#window = new ReceiveWindow(session.streamWindow);
  }

  /** The session has it: its message may begin. */
  abstract started(end: boolean): void;
  /** Another head on the stream: trailers, or a response's. */
  abstract receivedHead(block: FieldBlock, end: boolean): void;
  protected abstract receivedData(data: Buffer): void;
  protected abstract receivedEnd(trailers: HeaderMap | undefined): void;
  /** All of one read has been told. */
  abstract receivedAll(): void;
  /** The stream is over before both sides have said their last word. */
  protected abstract cut(by: CutBy, code: number): void;
  /** Our last word is said. */
  protected abstract sendingEnded(): void;
  /** After `hasRoom` said false: more may be sent. */
  protected abstract drained(): void;

  /** Once, by the session, when the stream has its number. */
  begin(id: number, sendWindow: number): void {
    this.id = id;
    this.sendWindow = sendWindow;
  }

  // --- what comes

  /** DATA of `length` bytes, padding included, takes part of the window; false where it is larger. */
  takeWindow(length: number): boolean {
    return this.#window.take(length);
  }

  dataCame(data: Buffer): void {
    if (this.#paused || this.#held) {
      this.#held ??= [];
      this.#held.push(own(data));
      return;
    }
    this.receivedData(data);
    this.consume(data.length);
  }

  /** The end of what the peer sends has come. */
  endCame(trailers: HeaderMap | undefined): void {
    this.remoteEnded = true;
    if (this.#held || this.#paused) {
      this.#endHeld = true;
      this.#receivedTrailers = trailers;
      return;
    }
    this.receivedEnd(trailers);
    this.#settle();
  }

  /** The peer has said its last word, of which nobody else is told. */
  protected remoteEnd(): void {
    this.remoteEnded = true;
    this.#settle();
  }

  /** Gives bytes back to both windows. */
  consume(length: number): void {
    this.session.consume(length);
    if (this.closed || this.remoteEnded) return;
    const update = this.#window.give(length);
    if (update > 0) this.sending.updateWindow(this.id, update);
  }

  /** What comes is kept; the window sees to it that it is not much. */
  protected pause(): void {
    this.#paused = true;
  }

  protected resume(): void {
    this.#paused = false;
    if (this.#giving || (!this.#held && !this.#endHeld)) return;
    this.#giving = true;
    this.#giveHeld();
    this.#giving = false;
    if (!this.closed) this.receivedAll();
  }

  #giveHeld(): void {
    for (let data = this.#held?.shift(); data; data = this.#held?.shift()) {
      this.receivedData(data);
      this.consume(data.length);
      if (this.#paused || this.closed) return;
    }
    this.#held = undefined;
    if (!this.#endHeld) return;
    this.#endHeld = false;
    this.receivedEnd(this.#receivedTrailers);
    this.#settle();
  }

  /** A head behind the message's own: trailers, which end it. */
  protected trailersCame(block: FieldBlock, end: boolean): void {
    if (!end || block.problem !== undefined || !block.areTrailers || this.expected > 0) this.session.breakStream(this, ERROR.protocol);
    else this.endCame(block.headers.flat.length > 0 ? block.headers : undefined);
  }

  // --- what goes

  /** The head that has just gone was the last word. */
  protected headEnded(): void {
    this.#localEnd();
  }

  protected send(data: Buffer): void {
    if (this.closed || this.localEnded || this.#ending || data.length === 0) return;
    const { sending } = this;
    let from = 0;
    if (!this.#queue) {
      while (from < data.length) {
        const part = Math.min(data.length - from, MAX_FRAME, sending.room(this));
        if (part <= 0) break;
        sending.data(this, data, from, from + part);
        from += part;
      }
      if (from === data.length) return;
      this.#queue = [];
    }
    this.#queue.push(own(from === 0 ? data : data.subarray(from)));
    this.#queued += data.length - from;
    if (this.sendWindow > 0) sending.ready(this);
  }

  protected end(trailers: HeaderMap | undefined): void {
    if (this.closed || this.localEnded) return;
    this.#ending = true;
    this.#trailers = trailers;
    if (!this.#queue) this.#endSending();
  }

  /** False where the peer, or the way to it, is slower than what is sent. */
  protected hasRoom(): boolean {
    if (this.#queued < HIGH_WATER && !this.sending.blocked) return true;
    this.#waits = true;
    if (!this.#queue) this.sending.waits(this);
    return false;
  }

  /** Sends one frame of what waits; true where more could go. */
  sendQueued(): boolean {
    const queue = this.#queue;
    if (!queue || this.closed) return false;
    const first = queue[0]!;
    const part = Math.min(first.length - this.#gone, MAX_FRAME, this.sending.room(this));
    if (part <= 0) return false;
    this.sending.data(this, first, this.#gone, this.#gone + part);
    this.#gone += part;
    this.#queued -= part;
    if (this.#gone === first.length) {
      queue.shift();
      this.#gone = 0;
    }
    if (queue.length > 0) return this.sendWindow > 0;
    this.#queue = undefined;
    if (this.#ending) this.#endSending();
    else this.tellDrained();
    return false;
  }

  /** Something waits that only the peer's window of this stream holds back. */
  get queues(): boolean {
    return this.#queue !== undefined;
  }

  /** Where it waits for that: more may be sent. */
  tellDrained(): void {
    if (!this.#waits || this.#queue) return;
    if (this.sending.blocked) {
      this.sending.waits(this);
      return;
    }
    this.#waits = false;
    this.drained();
  }

  #endSending(): void {
    const trailers = this.#trailers;
    if (trailers && trailers.flat.length > 0) this.sending.head(this.id, [], trailers, true);
    else this.sending.endData(this.id);
    this.#localEnd();
  }

  #localEnd(): void {
    this.localEnded = true;
    this.sendingEnded();
    this.#settle();
  }

  /** Both have said their last word. */
  #settle(): void {
    if (!this.localEnded || !this.remoteEnded || this.#held || this.#endHeld || this.closed) return;
    this.#close();
    this.session.streamEnded(this, undefined);
  }

  // --- its end before its time

  /** Ends it here; nothing more is told. */
  protected resetLocally(code: number): void {
    if (this.closed) return;
    this.#close();
    this.session.resetStream(this.id, code);
    this.session.streamEnded(this, undefined);
  }

  /** By the peer, or by the session for what the peer did; `code` of an error, with a connection that ended without one `ERROR.none`. */
  endEarly(by: CutBy, code: number): void {
    if (this.closed) return;
    this.#close();
    this.cut(by, code);
    this.session.streamEnded(this, by === 'connection' ? undefined : this.began);
  }

  /** What nobody has taken, nobody will; it has its place in the connection's window. */
  protected dropHeld(): void {
    const held = this.#held;
    this.#held = undefined;
    this.#endHeld = false;
    if (held) for (const { length } of held) this.session.consume(length);
  }

  #close(): void {
    this.closed = true;
    this.dropHeld();
    this.#queue = undefined;
    this.#queued = 0;
  }
}
