/** `sallyport proxy --xds`: runs it, and says what becomes of it. */
import type { RemoteEvent } from '../control/remote.ts';
import type { FlowHub } from '../flows/hub.ts';
import { SallyportError } from '../lib/errors.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { clientCredentials, readTls, type TlsFiles } from '../xds/ads/client-credentials.ts';
import type { Protocol } from '../xds/ads/subscription.ts';
import { engineHost, say } from './say.ts';
import { serve } from './serve.ts';

export interface RemoteProxyOptions {
  readonly xds: SocketAddress;
  readonly identity: ProxyIdentity;
  readonly protocol: Protocol;
  readonly tls: TlsFiles | undefined;
  readonly admin: SocketAddress;
  readonly concurrency: number;
  /** For running requests, ms. */
  readonly grace: number;
  /** Folder for the last good configuration; undefined for none. */
  readonly keep: string | undefined;
  readonly flows: FlowHub | undefined;
  /** Where it is said whether the proxy is ready; undefined for nowhere. */
  readonly status: SocketAddress | undefined;
  /** Probes of the application, and where they are asked for. */
  readonly probes: { readonly at: SocketAddress; readonly json: string };
}

/** Serves until it is told to end; returns the exit code. Rejects with what is wrong with the files of TLS. */
export async function serveRemote({
  xds,
  identity,
  protocol,
  tls,
  admin,
  concurrency,
  grace,
  keep,
  flows,
  status,
  probes,
}: RemoteProxyOptions): Promise<number> {
  const credentials = () => clientCredentials(xds.address, readTls(tls));
  // What is wrong with the files now is the user's to mend; later it may be for a moment.
  credentials();
  const [{ startRemoteProxy }, { remoteTeller }, { RemoteReadiness }] = await Promise.all([
    import('../control/remote.ts'),
    import('../control/remote-text.ts'),
    import('../control/remote-readiness.ts'),
  ]);
  const asked = await probesOf(probes, identity);
  const where = `${xds.address}:${xds.port}`;
  return serve(
    async (ended) => {
      const lines = remoteTeller(where);
      const readiness = new RemoteReadiness();
      const tell = (event: RemoteEvent) => {
        readiness.see(event);
        if (event.kind === 'failed' && event.first) ended(event.error);
        else for (const line of lines(event)) say(line);
      };
      const server = await readiness.serve(status);
      const end = () => {
        server?.close();
        asked?.close();
      };
      const remote = { identity, target: xds, protocol, credentials, admin, concurrency, keep };
      const proxy = await startRemoteProxy(remote, { ...engineHost, flows, tell }).catch((error: unknown) => {
        end();
        throw error;
      });
      return {
        ...proxy,
        watch: () => {},
        close: async (graceMs: number) => {
          readiness.end();
          await proxy.close(graceMs);
          end();
        },
      };
    },
    { watch: false, grace },
  );
}

/** Undefined where there are none. */
async function probesOf({ at, json }: RemoteProxyOptions['probes'], { addresses }: ProxyIdentity): Promise<{ close(): void } | undefined> {
  if (json === '{}' || at.port === 0) return undefined;
  const [{ appProbes }, { startProbeServer }] = await Promise.all([import('../agent/app-probes.ts'), import('../agent/probe-server.ts')]);
  return startProbeServer(at, appProbes(json), addresses[0]!);
}

export interface OtherSources {
  readonly config?: string;
  readonly meshConfig?: string;
  readonly ca?: string;
  readonly engine: string;
  readonly paths: readonly string[];
}

/** Throws `usage` for options that mean another kind of proxy. */
export function checkRemote({ config, meshConfig, ca, engine, paths }: OtherSources): void {
  if (config !== undefined) throw new SallyportError('usage', '-c and --xds are two sources of one configuration: leave one out.');
  if (paths.length > 0) throw new SallyportError('usage', 'with --xds the resources are those of the control plane: leave PATH out.');
  if (meshConfig !== undefined || ca !== undefined)
    throw new SallyportError(
      'usage',
      'with --xds MeshConfig and identities are those of the control plane: leave --mesh-config and --ca out.',
    );
  if (engine !== 'embedded')
    throw new SallyportError('usage', 'Envoy connects to a control plane itself: run it with what sallyport bootstrap prints.');
}
