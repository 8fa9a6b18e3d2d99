/** `proxy --xds`: the proxy of a control plane elsewhere, with what it says and whether it is ready. */
import { setTimeout as delay } from 'node:timers/promises';
import type { EngineHost } from '../engine/contract.ts';
import { hostPort, type SocketAddress } from '../lib/socket-address.ts';
import { type RemoteEvent, type RemoteOptions, type RemoteProxy, startRemoteProxy } from './remote.ts';
import { RemoteReadiness } from './remote-readiness.ts';
import { remoteTeller } from './remote-text.ts';

export interface ServedRemoteOptions extends RemoteOptions {
  /** Where it is said whether the proxy is ready; undefined for nowhere. */
  readonly status: SocketAddress | undefined;
  /** How long calls are still taken once it is to end, ms: whoever sends them learns of it only by and by. */
  readonly drainMs: number;
}

export interface RemoteHost extends EngineHost {
  readonly say: (text: string) => void;
  /** The proxy can serve no longer. */
  readonly ended: (error: unknown) => void;
}

/** Resolves when it has begun to connect. */
export async function startServedRemote({ status, drainMs, ...remote }: ServedRemoteOptions, host: RemoteHost): Promise<RemoteProxy> {
  const lines = remoteTeller(hostPort(remote.target.address, remote.target.port));
  const readiness = new RemoteReadiness();
  const tell = (event: RemoteEvent) => {
    readiness.see(event);
    if (event.kind === 'failed' && event.first) host.ended(event.error);
    else for (const line of lines(event)) host.say(line);
  };
  const server = await readiness.serve(status);
  const proxy = await startRemoteProxy(remote, { ...host, tell }).catch((error: unknown) => {
    server?.close();
    throw error;
  });
  return {
    ...proxy,
    close: async (graceMs) => {
      readiness.end();
      if (graceMs > 0) await delay(drainMs);
      await proxy.close(graceMs);
      server?.close();
    },
  };
}
