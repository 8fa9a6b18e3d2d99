/**
 * One buffer into which all HTTP/1 connections of a thread read: what a read brings is worked off before the next read, so idle connections hold nothing
 * and no read allocates. Whoever keeps a piece of body beyond the call that brought it takes a copy by `own`.
 */
import type { OnReadOpts } from 'node:net';

const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/** For a socket that hands its bytes to `read` instead of emitting `data`. */
export function readingInto(read: (data: Buffer) => void): OnReadOpts {
  return {
    buffer: READ_BUFFER,
    callback(length) {
      read(READ_BUFFER.subarray(0, length));
      return true;
    },
  };
}

/** `data` itself, or its copy if it lies in the shared buffer. */
export function own(data: Buffer): Buffer {
  return data.buffer === READ_BUFFER.buffer ? Buffer.from(data) : data;
}
