/** Has a server give its TCP connections as they were accepted, without a `net.Socket` around each. */
import type { Server } from 'node:net';
import { BareSocket } from './bare-socket.ts';
import { serverHandle, streamInternals, tcpHandle } from './internals.ts';
import type { StreamSocket } from './stream-socket.ts';

/** Of a server that listens; unix sockets, errors, and what is not as expected stay the server's, which has its own listener for connections. */
export function acceptBare(server: Server, onConnection: (socket: StreamSocket) => void): void {
  const internals = streamInternals();
  const listening = serverHandle(server);
  if (!internals || !listening) return;
  const { onconnection } = listening;
  listening.onconnection = (status, handle) => {
    const accepted = status === 0 ? tcpHandle(handle) : undefined;
    if (!accepted) {
      onconnection.call(listening, status, handle);
      return;
    }
    accepted.setNoDelay(true);
    onConnection(new BareSocket(accepted, internals));
  };
}
