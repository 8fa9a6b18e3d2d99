/** Ports that lead through the wall: services of the machine that the command may call, and servers of the command that the machine may call. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import type { SocketHandle } from '../lib/contained.ts';
import { codeOf, messageOf } from '../lib/errors.ts';
import { listening } from '../lib/listen.ts';
import type { SocketAddress } from '../lib/socket-address.ts';

/** What came over a connection, once it has ended. */
export interface Relayed {
  readonly client: { readonly ip: string; readonly port: number };
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Why the service was not reached, or empty. */
  readonly failure: string;
}

/**
 * Takes the connections of a listening socket of the inside to a service of the machine. Resolves with what ends it.
 * @param began hears of each connection, and returns what hears of its end; undefined: it is refused
 */
export async function relayOut(
  handle: SocketHandle,
  to: SocketAddress,
  began: (client: Relayed['client']) => ((relayed: Relayed) => void) | undefined,
): Promise<() => void> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (inner) => {
    held(open, inner);
    const client = { ip: inner.remoteAddress ?? '', port: inner.remotePort ?? 0 };
    const ended = began(client);
    if (!ended) {
      inner.destroy();
      return;
    }
    const outer = held(open, connect({ host: to.address, port: to.port, allowHalfOpen: true }));
    join(inner, outer, (error) => {
      const failure = error && outer.bytesRead === 0 && codeOf(error) === 'ECONNREFUSED' ? messageOf(error) : '';
      ended({ client, bytesSent: inner.bytesRead, bytesReceived: inner.bytesWritten, failure });
    });
  });
  await listening(server, handle, { ip: to.address, port: to.port }, { what: 'inside' });
  return () => closeAll(server, open);
}

/**
 * Takes connections to a port of the machine's loopback to the inside. Resolves with what ends it; rejects as `listening`.
 * @param enter opens a connection to that port inside
 */
export async function publishPort(port: number, enter: (port: number) => Promise<Socket>): Promise<() => void> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (outer) => {
    held(open, outer);
    outer.on('error', () => outer.destroy());
    enter(port).then(
      (inner) => join(outer, held(open, inner), () => undefined),
      () => outer.destroy(),
    );
  });
  await listening(server, { host: '127.0.0.1', port }, { ip: '127.0.0.1', port }, { what: `--publish ${port}` });
  return () => closeAll(server, open);
}

/** The socket, kept in mind for as long as it is open. */
function held(open: Set<Socket>, socket: Socket): Socket {
  open.add(socket);
  socket.on('close', () => open.delete(socket));
  return socket;
}

/** Processes of the command may have outlived it: their connections end with the run. */
function closeAll(server: Server, open: ReadonlySet<Socket>): void {
  server.close();
  for (const socket of open) socket.destroy();
}

/** Both ways; `done` once both have ended. */
function join(a: Socket, b: Socket, done: (error: NodeJS.ErrnoException | null | undefined) => void): void {
  let failure: NodeJS.ErrnoException | null | undefined;
  let ways = 2;
  const end = (error: NodeJS.ErrnoException | null | undefined) => {
    failure ??= error;
    if (error) {
      a.destroy();
      b.destroy();
    }
    if (--ways === 0) done(failure);
  };
  pipeline(a, b, end);
  pipeline(b, a, end);
}
