/** Chooses what a connection's bytes go over. */

import { nodeSocket } from './bare-socket.ts';
import { HandleTransport } from './handle-transport.ts';
import { streamHandle, streamInternals } from './internals.ts';
import { SocketTransport } from './socket-transport.ts';
import type { StreamSocket } from './stream-socket.ts';
import type { ByteReader, Transport, TransportEvents } from './transport.ts';

/**
 * Takes a connected socket over, for good: nobody else reads or writes it, or listens for what the transport tells. Nothing is read before `resume`. Of a
 * transport by which somebody has read, the rest comes here.
 */
export function openTransport(from: StreamSocket | Transport, reader: ByteReader, events: TransportEvents): Transport {
  if ('handTo' in from) {
    from.handTo(reader, events);
    return from;
  }
  const internals = streamInternals();
  const handle = internals && !from.destroyed ? streamHandle(from) : undefined;
  return handle && internals
    ? new HandleTransport(from, handle, internals, reader, events)
    : new SocketTransport(nodeSocket(from), reader, events);
}
