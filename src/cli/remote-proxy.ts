/** `sallyport proxy --xds`: runs it, and says what becomes of it. */
import type { ServedRemoteOptions } from '../control/served-remote.ts';
import type { EngineHost } from '../engine/contract.ts';
import { SallyportError } from '../lib/errors.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { clientCredentials, readTls, type TlsFiles } from '../xds/ads/client-credentials.ts';
import { engineHost, say } from './say.ts';
import { serve } from './serve.ts';

type ServedRemote = Omit<ServedRemoteOptions, 'credentials'>;

export interface RemoteProxyOptions {
  readonly remote: ServedRemote;
  /** Of the client's side of the control plane's TLS; undefined: plaintext. */
  readonly tls: TlsFiles | undefined;
  /** For running requests, ms. */
  readonly grace: number;
  /** Who is told of the calls. */
  readonly watched: Pick<EngineHost, 'flows' | 'audit'>;
  /** Where metrics are served, and probes of the application made; undefined: nowhere, unless there are probes. */
  readonly pod: { readonly at: SocketAddress | undefined; readonly probes: string };
}

/** Serves until it is told to end; returns the exit code. Rejects with what is wrong with the files of TLS. */
export async function serveRemote({ remote, tls, grace, watched, pod }: RemoteProxyOptions): Promise<number> {
  const credentials = () => clientCredentials(remote.target.address, readTls(tls));
  // What is wrong with the files now is the user's to mend; later it may be for a moment.
  credentials();
  const { startServedRemote } = await import('../control/served-remote.ts');
  const asked = await podServer(pod, remote);
  return serve(
    async (ended) => {
      const proxy = await startServedRemote({ ...remote, credentials }, { ...engineHost, ...watched, say, ended }).catch(
        (error: unknown) => {
          asked?.close();
          throw error;
        },
      );
      const close = async (graceMs: number) => {
        await proxy.close(graceMs);
        asked?.close();
      };
      return { ...proxy, watch: () => {}, close };
    },
    { watch: false, grace },
  );
}

/** As injected pods are probed. */
const POD_ADDRESS: SocketAddress = { address: '0.0.0.0', port: 15_020 };

/** Undefined where nobody is to be answered. */
async function podServer(
  { at, probes }: RemoteProxyOptions['pod'],
  { identity, admin }: ServedRemote,
): Promise<{ close(): void } | undefined> {
  const wanted = at ?? (probes === '{}' ? undefined : POD_ADDRESS);
  if (!wanted || wanted.port === 0) return undefined;
  const [{ appProbes }, { startPodServer }] = await Promise.all([import('../agent/app-probes.ts'), import('../agent/pod-server.ts')]);
  return startPodServer({ at: wanted, probes: appProbes(probes), pod: identity.addresses[0] ?? '', admin });
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
