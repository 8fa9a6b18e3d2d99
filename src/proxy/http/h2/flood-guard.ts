/**
 * Ends HTTP/2 connections of peers that send frames without end which ask for nothing (WINDOW_UPDATE, PING, SETTINGS, PRIORITY, empty DATA, unknown types).
 * The library tells of few of them, so what is weighed is bytes: those that came, against those of messages and what a peer may need to say about them.
 * Envoy counts frames, kind by kind; no peer that keeps to its limits comes near these.
 */
import { constants, type Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { TimerEntry, type Timers } from '../timers.ts';

const CHECK_MS = 500;
/** Bytes that a peer may spend at any time: some thousand frames. */
const AT_FIRST = 64 * 1024;
/** For keep-alives, for as long as the connection lasts. */
const A_SECOND = 1024;
/** For what comes with a stream besides its heads: a priority, window updates, a reset. */
const A_STREAM = 512;
/** For a frame's head, padding, and updates of both windows. */
const A_PIECE = 256;
/** A field of a head costs so much besides its text, at most (RFC 7541 §5.2, §6.2). */
const A_FIELD = 12;

export class FloodGuard {
  readonly #session: Http2Session;
  readonly #socket: Socket;
  readonly #timers: Timers;
  readonly #timer: TimerEntry;
  readonly #since: number;
  #allowed = AT_FIRST;
  /** The connection was ended for what its peer sent. */
  cut = false;

  constructor(session: Http2Session, socket: Socket, timers: Timers) {
    this.#session = session;
    this.#socket = socket;
    this.#timers = timers;
    this.#since = timers.now();
    this.#timer = new TimerEntry(() => this.#check());
    timers.arm(this.#timer, CHECK_MS);
    session.once('close', () => timers.disarm(this.#timer));
  }

  /** A head or trailers have come; `raw` as Node gives them. */
  fields(raw: readonly string[]): void {
    let bytes = A_STREAM;
    for (const part of raw) bytes += part.length;
    this.#allowed += bytes + (raw.length / 2) * A_FIELD;
  }

  /** A piece of body has come. Pieces may have been joined, so that small ones count by their bytes. */
  received(bytes: number): void {
    this.#allowed += A_PIECE + bytes * 3;
  }

  /** A piece of body goes out; a peer with a small window answers each part of it. */
  sent(bytes: number): void {
    this.#allowed += A_PIECE + bytes / 4;
  }

  #check(): void {
    const allowed = this.#allowed + ((this.#timers.now() - this.#since) / 1000) * A_SECOND;
    if (this.#socket.bytesRead <= allowed) {
      this.#timers.arm(this.#timer, CHECK_MS);
      return;
    }
    this.cut = true;
    this.#session.destroy(new Error('flood of frames'), constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
}
