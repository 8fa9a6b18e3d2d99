/**
 * How the data plane moves the bytes of one connection: what HTTP/1 and the TCP proxy know of a socket, and nothing else. Two implementations: on Node's
 * stream handles (`handle-transport.ts`), and on `net.Socket` where those are not as expected (`socket-transport.ts`); `open.ts` chooses.
 * docs/decisions/transport.md says why. Types alone.
 */
import type { Address } from '../types.ts';

/** Lends a connection the memory that it reads into, and works off what came. */
export interface ByteReader {
  /** What the next read fills; asked anew after each read. */
  buffer(): Buffer;
  /** The first `length` bytes of the buffer came. False: nothing more is read until `resume` or `readOn`. */
  filled(length: number): boolean;
  /** Bytes that lie in memory of their own came. False: as above. */
  took(bytes: Buffer): boolean;
}

export interface TransportEvents {
  /** The peer sends nothing more. Our side stays open as far as the socket allows half-open connections. */
  ended(): void;
  /** Everything that was written has gone, after a write that could not go at once. */
  drained(): void;
  /** Once, as the last: the connection is over, by an error or without. Never called from within a call of the transport. */
  closed(error: Error | undefined): void;
}

export interface Transport {
  readonly localAddress: Address;
  /** From now on another reader has what comes, and others are told. Called before anything is read, or by the reader that is just told of a read. */
  handTo(reader: ByteReader, events: TransportEvents): void;
  /** Nothing is read or written any more; `closed` has come or will. */
  readonly destroyed: boolean;
  /** Bytes that were written and that the system has not taken. */
  readonly pending: number;
  /** Writes Latin-1. Returns false once so much is pending that the writer should wait for `drained`. What is written after the end is dropped. */
  writeText(text: string): boolean;
  /** As `writeText`. The bytes must stay as they are while any are pending. */
  write(bytes: Buffer): boolean;
  /** Reads nothing until `resume`. */
  pause(): void;
  /** Reads, from the first call on: before it, nothing is read, and only `closed` is told. */
  resume(): void;
  /** Reads on after a reader said false, unless `pause` was called meanwhile. */
  readOn(): void;
  /** Half-closes once everything is written. */
  end(): void;
  /** Closes once everything is written. */
  destroySoon(): void;
  /** Closes now; what is pending is lost. */
  destroy(): void;
  /** Closes now so that the peer sees that something is missing: with RST, where there is such a thing. */
  reset(): void;
  /** Calls back, once, when no byte has moved in either direction for `ms` milliseconds. */
  onIdle(ms: number, idle: () => void): void;
}
