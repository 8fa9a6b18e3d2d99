/** Whether pods of this node are captured, for the kubelet to ask. */
import type { Server } from 'node:http';
import { listening } from '../../lib/listen.ts';
import { createLocalServer } from '../../lib/local-server.ts';
import type { SocketAddress } from '../../lib/socket-address.ts';

/** Resolves with the server once it listens. Rejects as `listening`. */
export async function serveReadiness(
  keeper: { readonly problem: string | undefined },
  { address: host, port }: SocketAddress,
): Promise<Server> {
  const server = createLocalServer((request, answer) => {
    request.resume();
    const found = request.url?.split('?')[0] === '/healthz/ready';
    answer.writeHead(!found ? 404 : keeper.problem === undefined ? 200 : 503, { 'content-type': 'text/plain; charset=UTF-8' });
    answer.end(found ? `${keeper.problem ?? 'ready'}\n` : 'there is GET /healthz/ready\n');
  });
  await listening(server, { host, port }, { ip: host, port }, { what: 'cannot serve readiness', option: '--status-address' });
  return server;
}
