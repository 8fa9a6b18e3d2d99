/**
 * Ends HTTP/2 connections of peers that send frames without end which ask for nothing: WINDOW_UPDATE, PING, SETTINGS, PRIORITY, empty DATA, unknown types,
 * streams that are refused or reset. Counted as Envoy counts them, but that what one kind may be is what all of them may be together; no peer that keeps to
 * Envoy's limits comes near these.
 */
import { ConnectionError, ERROR } from './protocol.ts';

/** Frames that a peer may spend at any time. */
const AT_FIRST = 2000;
/** For keep-alives, for as long as the connection lasts. */
const A_SECOND = 50;
/** For what comes with a stream besides its heads: a priority, window updates, a reset. */
const A_STREAM = 20;
/** For a piece of body in either direction: updates of both windows. */
const A_PIECE = 4;
/** Bytes of a body that goes out, for which a peer may update a window: some do so for each KiB, of both. */
const BYTES_AN_UPDATE = 512;

/** As `overload.premature_reset_total_stream_count`: once so many streams have ended, most must not have been for nothing. */
const STREAMS_JUDGED = 500;
/** As `overload.premature_reset_min_stream_lifetime_seconds`, in ms: a stream that lasted as long was meant. */
const MEANT_MS = 1000;

export class FloodGuard {
  readonly #now: () => number;
  readonly #since: number;
  #spent = 0;
  #allowed = AT_FIRST;
  #ended = 0;
  #forNothing = 0;

  /** `now`: milliseconds that only grow. */
  constructor(now: () => number) {
    this.#now = now;
    this.#since = now();
  }

  /** A head or trailers have come that are part of a message. */
  head(): void {
    this.#allowed += A_STREAM;
  }

  /** A piece of body has come. */
  received(): void {
    this.#allowed += A_PIECE;
  }

  /** A piece of body goes out; a peer with a small window answers each part of it. */
  sent(bytes: number): void {
    this.#allowed += A_PIECE + bytes / BYTES_AN_UPDATE;
  }

  /** A frame that asks for nothing. Throws a ConnectionError for the one that is too many. */
  idle(): void {
    this.#spent++;
    if (this.#spent <= this.#allowed) return;
    if (this.#spent > this.#allowed + ((this.#now() - this.#since) / 1000) * A_SECOND) throw flood('frames that ask for nothing');
  }

  /** A stream is over; `began` is when it began where it was cut short, else undefined. Throws a ConnectionError where streams are made for nothing. */
  streamEnded(began: number | undefined): void {
    this.#ended++;
    if (began === undefined || this.#now() - began >= MEANT_MS) return;
    this.#forNothing++;
    if (this.#ended >= STREAMS_JUDGED && this.#forNothing * 2 > this.#ended) throw flood('requests that are reset at once');
  }
}

function flood(what: string): ConnectionError {
  return new ConnectionError(ERROR.enhanceYourCalm, `a flood of ${what}`);
}
