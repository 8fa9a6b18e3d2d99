/**
 * What of Node's internals the transport on stream handles rests on. Every use is here and in `handle-transport.ts`; docs/decisions/transport.md lists them with
 * the Node that has them. What is not as expected here is not used.
 */
import type { Socket } from 'node:net';
import { once } from '../../lib/once.ts';

/** A stream of libuv, or of TLS over one. */
export interface StreamHandle {
  /** Called with the length of a read, or a negative error, in `state[readLength]`; what it returns is the buffer of the next read, undefined: the same. */
  onread: () => Uint8Array | undefined;
  /** Kept by `net.Socket`: whether it has started reading. */
  reading: boolean;
  readonly bytesWritten: number;
  readonly writeQueueSize: number;
  readStart(): number;
  readStop(): number;
  useUserBuffer(buffer: Uint8Array): void;
  writeLatin1String(request: WriteRequest, text: string): number;
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  /** `all`: `pieces` are buffers alone; else each piece is followed by its encoding. */
  writev(request: WriteRequest, pieces: readonly unknown[], all: boolean): number;
}

/** One write; used again until a write does not end at once. */
export interface WriteRequest {
  oncomplete?: (status: number) => void;
  /** Keeps the bytes alive while they are written. */
  bytes?: unknown;
}

export interface StreamInternals {
  /** Where streams leave numbers for whoever called them, by the two indices below. */
  readonly state: Int32Array;
  readonly readLength: number;
  readonly writesLater: number;
  readonly WriteWrap: new () => WriteRequest;
}

/** Undefined where this Node's are not as expected. */
export const streamInternals: () => StreamInternals | undefined = once(probe);

function probe(): StreamInternals | undefined {
  try {
    const { streamBaseState, kReadBytesOrError, kLastWriteWasAsync, WriteWrap } = binding('stream_wrap');
    if (!(streamBaseState instanceof Int32Array) || typeof WriteWrap !== 'function') return undefined;
    if (typeof kReadBytesOrError !== 'number' || typeof kLastWriteWasAsync !== 'number') return undefined;
    const found = {
      state: streamBaseState,
      readLength: kReadBytesOrError,
      writesLater: kLastWriteWasAsync,
      WriteWrap: WriteWrap as StreamInternals['WriteWrap'],
    };
    new found.WriteWrap();
    return found;
  } catch {
    return undefined;
  }
}

/** Without the deprecation warning, which is for authors of programs and no business of users who run Node with `--pending-deprecation`. */
function binding(name: string): Record<string, unknown> {
  const { noDeprecation } = process;
  process.noDeprecation = true;
  try {
    return (process as unknown as { binding(name: string): Record<string, unknown> }).binding(name);
  } finally {
    process.noDeprecation = noDeprecation as boolean;
  }
}

const METHODS = ['readStart', 'readStop', 'useUserBuffer', 'writeLatin1String', 'writeBuffer', 'writev'] as const;

/** The handle of a connected socket, or undefined where it is not as expected. */
export function streamHandle(socket: Socket): StreamHandle | undefined {
  const handle = (socket as unknown as { _handle: StreamHandle | null })._handle;
  if (!handle || typeof handle.onread !== 'function' || typeof handle.bytesWritten !== 'number') return undefined;
  return METHODS.every((method) => typeof handle[method] === 'function') ? handle : undefined;
}
