/** What both transports make of a socket in the same way. */

import { TLSSocket } from 'node:tls';
import { getSystemErrorName } from 'node:util';
import type { Address } from '../types.ts';
import type { StreamSocket } from './stream-socket.ts';
import type { TransportEvents } from './transport.ts';

/** Bytes: once as many are pending, writers wait; as `net.Socket` has it. */
export const HIGH_WATER = 64 * 1024;

export function addressOf(socket: StreamSocket): Address {
  return { ip: socket.localAddress ?? '', port: socket.localPort ?? 0 };
}

/** Tells of the end of the connection, once. */
export function hearClose(socket: StreamSocket, closed: TransportEvents['closed']): () => void {
  let over = false;
  const once = (error: Error | undefined): void => {
    if (over) return;
    over = true;
    closed(error);
  };
  const closedWell = (): void => once(undefined);
  socket.on('error', once);
  socket.on('close', closedWell);
  return () => {
    socket.off('error', once);
    socket.off('close', closedWell);
  };
}

/** Tells of the end of the peer's bytes, also where it came before. */
export function hearEnd(socket: StreamSocket, ended: TransportEvents['ended']): void {
  if (socket.readableEnded) queueMicrotask(ended);
  else socket.on('end', ended);
}

/** Calls back once no byte has moved for a while. */
export class IdleTimer {
  readonly #timer: NodeJS.Timeout;
  readonly #queued: () => number;
  #before = 0;

  /** `queued`: bytes that the system has yet to take; that they become fewer is activity, too. */
  constructor(socket: StreamSocket, ms: number, queued: () => number, idle: () => void) {
    this.#queued = queued;
    this.#timer = setTimeout(() => {
      if (socket.destroyed) return;
      if (this.#progressed()) this.#timer.refresh();
      else idle();
    }, ms).unref();
    socket.once('close', () => clearTimeout(this.#timer));
  }

  active(): void {
    this.#timer.refresh();
  }

  #progressed(): boolean {
    const now = this.#queued();
    const progressed = now !== this.#before;
    this.#before = now;
    return progressed;
  }
}

/** TLS and unix sockets have no reset of their own: there, a connection that ends without a word says the same. */
export function resetSocket(socket: StreamSocket): void {
  if (socket.destroyed) return;
  if (socket instanceof TLSSocket || socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

/** What the system says of a call on a stream handle, as Node has it. @param code negative */
export function systemError(code: number, call: string): Error {
  const name = getSystemErrorName(code);
  return Object.assign(new Error(`${call} ${name}`), { code: name, errno: code, syscall: call });
}
