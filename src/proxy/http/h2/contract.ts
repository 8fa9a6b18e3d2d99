/** What the parts of an HTTP/2 connection know of one another: the session, its streams, and the connection that it serves. Types alone. */
import type { FieldBlock } from '../../../http/h2/field-block.ts';
import type { HeaderMap } from '../../../http/header-map.ts';
import type { Sending, SendingStream } from './sending.ts';

/** What a session asks and tells the connection that it serves. */
export interface SessionOwner {
  /** A client's stream begins: makes the object that has it; undefined where there is none. Servers only. */
  opened(block: FieldBlock, end: boolean): SessionStream | undefined;
  /** A stream is over. */
  streamEnded(): void;
  /** The peer takes other things than before. */
  settingsCame(): void;
  /** The peer opens no more streams, or takes none beyond those that it has. */
  goawayCame(): void;
  pongCame(payload: Buffer): void;
  /** A read is worked off; `unfinished`: which frame or head has begun and not ended, 0 for none. */
  readEnded(unfinished: number): void;
  /** Nothing more comes or goes, and streams have been told. Once. */
  ended(): void;
  /** The connection is closed. Once, as the last. */
  closed(): void;
}

/** Who ended a stream before its time: the peer reset it; the peer broke the rules, for which we reset it; or the connection is over. */
export type CutBy = 'peer' | 'rules' | 'connection';

/** A session as its streams see it. */
export interface StreamSession {
  readonly sending: Sending;
  readonly now: () => number;
  /** Bytes of the window that a stream of the peer has. */
  readonly streamWindow: number;
  /** Bytes that came are dealt with. */
  consume(length: number): void;
  resetStream(id: number, code: number): void;
  /** The peer broke the rules, and one stream pays. Throws a ConnectionError where too many do. */
  breakStream(stream: SessionStream, code: number): void;
  /** `began`: of one that was cut short by its peer. Throws a ConnectionError where too many are. */
  streamEnded(stream: SessionStream, began: number | undefined): void;
}

/** A stream as its session sees it. */
export interface SessionStream extends SendingStream {
  readonly closed: boolean;
  /** The peer has said its last word. */
  readonly remoteEnded: boolean;
  /** What one read brought has not been told to its end. */
  touched: boolean;
  /** Bytes of body that are still to come, where a length was said; else -1. */
  expected: number;
  /** Something waits that only a window holds back. */
  readonly queues: boolean;
  /** Once, when the stream has its number. */
  begin(id: number, sendWindow: number): void;
  /** The session has it: its message may begin. */
  started(end: boolean): void;
  /** Another head on the stream: trailers, or a response's. */
  receivedHead(block: FieldBlock, end: boolean): void;
  /** DATA of `length` bytes, padding included, takes part of the window; false where it is larger. */
  takeWindow(length: number): boolean;
  dataCame(data: Buffer): void;
  /** The end of what the peer sends has come. */
  endCame(trailers: HeaderMap | undefined): void;
  /** All of one read has been told. */
  receivedAll(): void;
  /** Gives bytes back to both windows. */
  consume(length: number): void;
  /** By the peer, or by the session for what the peer did; `code` of an error, with a connection that ended without one `ERROR.none`. */
  endEarly(by: CutBy, code: number): void;
}
