/** `proxy --xds`: the proxy of a control plane elsewhere, with what it says and whether it is ready. */
import { setTimeout as delay } from 'node:timers/promises';
import type { EngineHost } from '../engine/contract.ts';
import { hostPort, type SocketAddress } from '../lib/socket-address.ts';
import { leaveOutMaglev } from '../proxy/idle-memory.ts';
import { type RemoteEvent, type RemoteOptions, type RemoteProxy, startRemoteProxy } from './remote.ts';
import { RemoteReadiness } from './remote-readiness.ts';
import { remoteTeller } from './remote-text.ts';

export interface ServedRemoteOptions extends RemoteOptions {
  /** Where it is said whether the proxy is ready; undefined for nowhere. */
  readonly status: SocketAddress | undefined;
  /** How long calls are still taken once it is to end, ms: whoever sends them learns of it only by and by. */
  readonly drainMs: number;
  readonly pod: PodOptions;
}

export interface PodOptions {
  /** Where metrics are served, and probes of the application made; undefined: nowhere, unless there are probes. */
  readonly at: SocketAddress | undefined;
  /** As `sallyport inject` writes them, JSON. */
  readonly probes: string;
}

export interface RemoteHost extends EngineHost {
  readonly say: (text: string) => void;
  /** The proxy can serve no longer. */
  readonly ended: (error: unknown) => void;
}

/** Resolves when it has begun to connect. */
export async function startServedRemote({ status, drainMs, pod, ...remote }: ServedRemoteOptions, host: RemoteHost): Promise<RemoteProxy> {
  leaveOutMaglev();
  const lines = remoteTeller(hostPort(remote.target.address, remote.target.port));
  const readiness = new RemoteReadiness();
  const tell = (event: RemoteEvent) => {
    readiness.see(event);
    if (event.kind === 'failed' && event.first) host.ended(event.error);
    else for (const line of lines(event)) host.say(line);
  };
  const servers: ({ close(): void } | undefined)[] = [];
  const closeServers = () => {
    for (const server of servers) server?.close();
  };
  const proxy = await (async () => {
    servers.push(await podServer(pod, remote));
    servers.push(await readiness.serve(status));
    return startRemoteProxy(remote, { ...host, tell });
  })().catch((error: unknown) => {
    closeServers();
    throw error;
  });
  return {
    ...proxy,
    close: async (graceMs) => {
      readiness.end();
      if (graceMs > 0) await delay(drainMs);
      await proxy.close(graceMs);
      closeServers();
    },
  };
}

/** As injected pods are probed. */
const POD_ADDRESS: SocketAddress = { address: '0.0.0.0', port: 15_020 };

/** Undefined where nobody is to be answered. */
async function podServer(
  { at, probes }: PodOptions,
  { identity, admin }: Pick<RemoteOptions, 'identity' | 'admin'>,
): Promise<{ close(): void } | undefined> {
  const wanted = at ?? (probes === '{}' ? undefined : POD_ADDRESS);
  if (!wanted || wanted.port === 0) return undefined;
  const [{ appProbes }, { startPodServer }] = await Promise.all([import('../agent/app-probes.ts'), import('../agent/pod-server.ts')]);
  return startPodServer({ at: wanted, probes: appProbes(probes), pod: identity.addresses[0] ?? '', admin });
}
