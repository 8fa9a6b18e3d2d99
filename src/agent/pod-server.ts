/** The application's probes beside the embedded data plane, which has no agent: the kubelet asks here, at the port that an agent has. */
import { listening } from '../lib/listen.ts';
import { createLocalServer } from '../lib/local-server.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { type AppProbes, probeApp } from './app-probes.ts';

/** @param pod its address. Rejects as `listening`. */
export async function startProbeServer({ address: host, port }: SocketAddress, probes: AppProbes, pod: string): Promise<{ close(): void }> {
  const server = createLocalServer((request, answer) => {
    request.resume();
    const probe = request.method === 'GET' ? probes.get(request.url?.split('?')[0] ?? '') : undefined;
    if (!probe) answer.writeHead(404).end();
    else
      void probeApp(probe, pod, request.headers['user-agent']).then((status) => {
        answer.writeHead(status).end();
      });
  });
  await listening(server, { host, port }, { ip: host, port }, { what: 'cannot serve probes', option: '--probe-address' });
  return {
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
