/** `GET /healthz/ready` alone, for a proxy whose state its control plane knows. */
import { listening } from '../lib/listen.ts';
import { createLocalServer } from '../lib/local-server.ts';
import type { SocketAddress } from '../lib/socket-address.ts';

/** Rejects as `listening`. @param note what is to be told beside the status */
export async function startReadyServer(
  { address: host, port }: SocketAddress,
  ready: () => boolean,
  note: () => string,
): Promise<{ close(): void }> {
  const server = createLocalServer((request, answer) => {
    request.resume();
    const known = request.method === 'GET' && request.url?.split('?')[0] === '/healthz/ready';
    answer.writeHead(known ? (ready() ? 200 : 503) : 404).end(known ? note() : '');
  });
  await listening(server, { host, port }, { ip: host, port }, { what: 'cannot serve status', option: '--status-address' });
  return {
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
