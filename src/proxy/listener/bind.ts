/** Opening listening sockets, with errors that say who is in the way and what to do. */
import { lstatSync, unlinkSync } from 'node:fs';
import { createServer, type ListenOptions, type Server } from 'node:net';
import type { SocketHandle } from '../../lib/contained.ts';
import { codeOf, messageOf, SallyportError } from '../../lib/errors.ts';
import { listening } from '../../lib/listen.ts';
import { acceptBare } from '../net/accept.ts';
import type { StreamSocket } from '../net/stream-socket.ts';
import type { Address } from '../types.ts';

interface BindOptions {
  readonly address: Address;
  readonly backlog: number | undefined;
  /** `::` takes IPv4 as well. */
  readonly ipv4Compat: boolean;
  readonly reusePort: boolean;
  /** With `reusePort`: make sure first that no other process has the port, as sharing it would go unnoticed. */
  readonly probe: boolean;
}

/** Resolves with a server that listens; rejects with `port-in-use`, `port-forbidden`, `address-unavailable` or `listen-failed`. */
export async function bind(options: BindOptions, onConnection: (socket: StreamSocket) => void): Promise<Server> {
  const { address } = options;
  if (address.port === 0 && address.ip.startsWith('/')) removeStale(address.ip);
  if (options.reusePort && options.probe && address.port > 0) {
    const probe = await listen(options, false, () => undefined);
    await new Promise((resolve) => probe.close(resolve));
  }
  return listen(options, options.reusePort, onConnection);
}

function listen(options: BindOptions, reusePort: boolean, onConnection: (socket: StreamSocket) => void): Promise<Server> {
  const { address, backlog } = options;
  const target: ListenOptions =
    address.port === 0 && address.ip.startsWith('/')
      ? { path: address.ip }
      : { host: address.ip, port: address.port, ipv6Only: address.ip === '::' && !options.ipv4Compat, reusePort };
  return accepting({ ...target, ...(backlog === undefined ? {} : { backlog }) }, address, onConnection);
}

/** A server on a socket that was opened elsewhere and listens already; it owns the socket. Rejects with `listen-failed`. */
export function listenOn(handle: SocketHandle, address: Address, onConnection: (socket: StreamSocket) => void): Promise<Server> {
  return accepting(handle, address, onConnection);
}

async function accepting(
  where: ListenOptions | SocketHandle,
  address: Address,
  onConnection: (socket: StreamSocket) => void,
): Promise<Server> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, onConnection);
  await listening(server, where, address);
  acceptBare(server, onConnection);
  return server;
}

/** A socket file that a process left behind. */
function removeStale(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT')
      throw new SallyportError('listen-failed', `cannot listen on ${path}: ${messageOf(error)}`, { cause: error });
  }
}
