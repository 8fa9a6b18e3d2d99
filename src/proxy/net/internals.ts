/**
 * What of Node's internals the transport on stream handles rests on. Every use is here, in `handle-transport.ts`, `bare-socket.ts`, `accept.ts` and
 * `connect.ts`; docs/decisions/transport.md lists them with the Node that has them. What is not as expected here is not used.
 */
import type { Server } from 'node:net';
import { once } from '../../lib/once.ts';
import type { StreamSocket } from './stream-socket.ts';

/** A stream of libuv, or of TLS over one. */
export interface StreamHandle {
  /**
   * Called with the length of a read, or a negative error, in `state[readLength]`. With a user buffer, what it returns is that of the next read, undefined: the
   * same; without, it is given memory of its own, in which the bytes are at `state[readOffset]`.
   */
  onread: (memory?: ArrayBuffer) => Uint8Array | undefined;
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

/** That of a TCP connection. */
export interface TcpHandle extends StreamHandle {
  readonly fd: number;
  readonly bytesRead: number;
  setNoDelay(on: boolean): number;
  getpeername(address: object): number;
  getsockname(address: object): number;
  shutdown(request: ShutdownRequest): number;
  close(closed: () => void): void;
  /** Closes with RST. */
  reset(closed: () => void): number;
}

/** One that does not connect yet. */
export interface ConnectingHandle extends TcpHandle {
  connect(request: ConnectRequest, ip: string, port: number): number;
  connect6(request: ConnectRequest, ip: string, port: number): number;
  bind(ip: string, port: number): number;
  bind6(ip: string, port: number, flags: number): number;
  /** In seconds. */
  setKeepAlive(on: boolean, delay: number): number;
}

export interface ConnectRequest {
  oncomplete?: (status: number) => void;
}

interface ShutdownRequest {
  oncomplete?: (status: number) => void;
}

/** One that listens. */
interface ServerHandle {
  onconnection: (this: ServerHandle, status: number, handle: unknown) => void;
}

/** One write; used again until a write does not end at once. */
export interface WriteRequest {
  oncomplete?: (status: number) => void;
  /** Keeps the bytes alive while they are written. */
  bytes?: unknown;
}

export interface StreamInternals {
  /** Where streams leave numbers for whoever called them, by the indices below. */
  readonly state: Int32Array;
  readonly readLength: number;
  readonly readOffset: number;
  readonly writesLater: number;
  readonly WriteWrap: new () => WriteRequest;
  readonly ShutdownWrap: new () => ShutdownRequest;
}

export interface ConnectInternals {
  readonly newHandle: () => ConnectingHandle;
  readonly ConnectWrap: new () => ConnectRequest;
}

/** Undefined where this Node's are not as expected. */
export const streamInternals: () => StreamInternals | undefined = once(probe);

function probe(): StreamInternals | undefined {
  try {
    const found = binding('stream_wrap');
    const { streamBaseState, kReadBytesOrError, kArrayBufferOffset, kLastWriteWasAsync, WriteWrap, ShutdownWrap } = found;
    if (!(streamBaseState instanceof Int32Array) || typeof WriteWrap !== 'function' || typeof ShutdownWrap !== 'function') return undefined;
    if (![kReadBytesOrError, kArrayBufferOffset, kLastWriteWasAsync].every((index) => typeof index === 'number')) return undefined;
    const internals = {
      state: streamBaseState,
      readLength: kReadBytesOrError as number,
      readOffset: kArrayBufferOffset as number,
      writesLater: kLastWriteWasAsync as number,
      WriteWrap: WriteWrap as StreamInternals['WriteWrap'],
      ShutdownWrap: ShutdownWrap as StreamInternals['ShutdownWrap'],
    };
    new internals.WriteWrap();
    new internals.ShutdownWrap();
    return internals;
  } catch {
    return undefined;
  }
}

/** What connections of our own are opened with; undefined where this Node's are not as expected. */
export const connectInternals: () => ConnectInternals | undefined = once(probeConnect);

function probeConnect(): ConnectInternals | undefined {
  try {
    const { TCP, TCPConnectWrap, constants } = binding('tcp_wrap');
    const { SOCKET } = constants as Record<string, unknown>;
    if (typeof TCP !== 'function' || typeof TCPConnectWrap !== 'function' || typeof SOCKET !== 'number') return undefined;
    const Handle = TCP as new (type: number) => ConnectingHandle;
    const handle = new Handle(SOCKET);
    const usable = tcpHandle(handle) && CONNECT_METHODS.every((method) => typeof handle[method] === 'function');
    handle.close(() => undefined);
    return usable ? { newHandle: () => new Handle(SOCKET), ConnectWrap: TCPConnectWrap as ConnectInternals['ConnectWrap'] } : undefined;
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
const TCP_METHODS = ['setNoDelay', 'getpeername', 'getsockname', 'shutdown', 'close', 'reset'] as const;
const CONNECT_METHODS = ['connect', 'connect6', 'bind', 'bind6', 'setKeepAlive'] as const;

/** The handle of a connected socket, or undefined where it is not as expected. */
export function streamHandle(socket: StreamSocket): StreamHandle | undefined {
  const handle = (socket as unknown as { _handle: StreamHandle | null })._handle;
  if (!handle || typeof handle.onread !== 'function' || typeof handle.bytesWritten !== 'number') return undefined;
  return METHODS.every((method) => typeof handle[method] === 'function') ? handle : undefined;
}

/** That of a TCP connection, or undefined where it is none as expected. */
export function tcpHandle(given: unknown): TcpHandle | undefined {
  const handle = given as TcpHandle;
  if (typeof handle.bytesWritten !== 'number' || typeof handle.writeQueueSize !== 'number') return undefined;
  return [...METHODS, ...TCP_METHODS].every((method) => typeof handle[method] === 'function') ? handle : undefined;
}

/** The handle of a server that listens, or undefined where it is not as expected. */
export function serverHandle(server: Server): ServerHandle | undefined {
  const handle = (server as unknown as { _handle: ServerHandle | null })._handle;
  return typeof handle?.onconnection === 'function' ? handle : undefined;
}
