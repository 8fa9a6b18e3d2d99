/** Opens TCP connections without a `net.Socket` around each. */
import { isIP } from 'node:net';
import { BareSocket } from './bare-socket.ts';
import { type ConnectInternals, type ConnectingHandle, connectInternals, streamInternals } from './internals.ts';
import { systemError } from './socket-side.ts';

export interface ConnectTarget {
  /** An address of IPv4 or IPv6. */
  readonly ip: string;
  readonly port: number;
  /** The address that it comes from; of the same family. */
  readonly from?: string | undefined;
  /** Milliseconds after which an idle connection is probed by the system; undefined: never. */
  readonly keepAliveMs?: number | undefined;
}

/**
 * A socket that tells `connect`, or `error` and `close`; never before this returns. Small writes go at once (TCP_NODELAY). Undefined where this Node's
 * internals are not as expected, or the address is none.
 */
export function connectBare(target: ConnectTarget): BareSocket | undefined {
  const streams = streamInternals();
  const internals = streams && connectInternals();
  const family = isIP(target.ip);
  if (!internals || family === 0) return undefined;
  const handle = internals.newHandle();
  const socket = new BareSocket(handle, streams);
  const connected = (status: number): void => {
    if (socket.destroyed) return;
    if (status < 0) {
      socket.destroy(systemError(status, 'connect'));
      return;
    }
    handle.setNoDelay(true);
    if (target.keepAliveMs !== undefined) handle.setKeepAlive(true, Math.floor(target.keepAliveMs / 1000));
    socket.emit('connect');
  };
  const error = begin(handle, internals, target, family, connected);
  if (error !== 0) process.nextTick(connected, error);
  return socket;
}

/** Zero, or what the system says at once. */
function begin(
  handle: ConnectingHandle,
  { ConnectWrap }: ConnectInternals,
  { ip, port, from }: ConnectTarget,
  family: number,
  connected: (status: number) => void,
): number {
  if (from !== undefined) {
    const error = family === 4 ? handle.bind(from, 0) : handle.bind6(from, 0, 0);
    if (error !== 0) return error;
  }
  const request = new ConnectWrap();
  request.oncomplete = connected;
  return family === 4 ? handle.connect(request, ip, port) : handle.connect6(request, ip, port);
}
