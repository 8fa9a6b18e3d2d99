/** `sallyport proxy --xds`: runs it, and says what becomes of it. */
import type { ServedRemoteOptions } from '../control/served-remote.ts';
import type { EngineHost } from '../engine/contract.ts';
import { clientCredentials, readTls, type TlsFiles } from '../xds/ads/client-credentials.ts';
import { engineHost, say } from './say.ts';
import { serve } from './serve.ts';

export interface RemoteProxyOptions {
  readonly remote: Omit<ServedRemoteOptions, 'credentials'>;
  /** Of the client's side of the control plane's TLS; undefined: plaintext. */
  readonly tls: TlsFiles | undefined;
  /** For running requests, ms. */
  readonly grace: number;
  /** Who is told of the calls. */
  readonly watched: Pick<EngineHost, 'flows' | 'audit'>;
}

/** Serves until it is told to end; returns the exit code. Rejects with what is wrong with the files of TLS. */
export async function serveRemote({ remote, tls, grace, watched }: RemoteProxyOptions): Promise<number> {
  const credentials = () => clientCredentials(remote.target.address, readTls(tls));
  // What is wrong with the files now is the user's to mend; later it may be for a moment.
  credentials();
  const [{ startServedRemote }, { workloadIdentity }] = await Promise.all([
    import('../control/served-remote.ts'),
    import('../control/own-secrets.ts'),
  ]);
  const workload = workloadIdentity(remote.target, tls);
  return serve(
    async (ended) => ({
      ...(await startServedRemote({ ...remote, credentials, workload }, { ...engineHost, ...watched, say, ended })),
      watch: () => {},
    }),
    { watch: false, grace },
  );
}
