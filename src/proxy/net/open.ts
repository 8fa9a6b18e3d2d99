/** Chooses what a connection's bytes go over. */

import { nodeSocket } from './accepted-socket.ts';
import { HandleTransport } from './handle-transport.ts';
import { streamHandle, streamInternals } from './internals.ts';
import { SocketTransport } from './socket-transport.ts';
import type { StreamSocket } from './stream-socket.ts';
import type { ByteReader, Transport, TransportEvents } from './transport.ts';

/** Takes a connected socket over, for good: nobody else reads or writes it, or listens for what the transport tells. Nothing is read before `resume`. */
export function openTransport(socket: StreamSocket, reader: ByteReader, events: TransportEvents): Transport {
  const internals = streamInternals();
  const handle = internals && !socket.destroyed ? streamHandle(socket) : undefined;
  return handle && internals
    ? new HandleTransport(socket, handle, internals, reader, events)
    : new SocketTransport(nodeSocket(socket), reader, events);
}
