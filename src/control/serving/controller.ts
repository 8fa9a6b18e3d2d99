/** `sallyport controller`: the control plane alone, for proxies that connect to it over xDS. */

import { ServerCredentials } from '@grpc/grpc-js';
import { Identities } from '../../ca/identities.ts';
import { SallyportError } from '../../lib/errors.ts';
import { isLoopbackAddress, type SocketAddress } from '../../lib/socket-address.ts';
import { type AdsServer, startAdsServer } from '../../xds/ads/server.ts';
import { type ControlPlane, controlFromFiles, type OpenSource } from '../from-files.ts';
import type { ControlEvent } from '../report.ts';
import { type MeshCredentials, meshCredentials } from './credentials.ts';
import { ServedProxies } from './served-proxies.ts';
import { streamsJson } from './status.ts';

export interface ControllerOptions {
  readonly paths: readonly string[];
  /** What is read in place of files. */
  readonly source?: OpenSource | undefined;
  readonly meshConfig: string | undefined;
  /** Folder of the CA that gives proxies their identities; undefined: nobody has one. */
  readonly ca: string | undefined;
  /** For clients on this machine, in plaintext; port 0 for none. */
  readonly xds: SocketAddress;
  /** For clients with a certificate of the CA; undefined for none. */
  readonly xdsTls: SocketAddress | undefined;
  /** Port 0 for no status server. */
  readonly statusAddress: SocketAddress;
  /** How long a proxy is kept that nobody is connected as, ms. */
  readonly keepMs: number;
}

/** As Istio's: certificates that have ended, and clients that are trusted no more, are out by then. */
const MOST_AGE_MS = 30 * 60_000;

/** Resolves when what the files say is served. Rejects with `usage` for addresses that are not to be served. */
export async function startController(options: ControllerOptions, tell: (event: ControlEvent) => void): Promise<ControlPlane> {
  const { paths, source, meshConfig, ca, xds, xdsTls, statusAddress, keepMs } = options;
  checkAddresses(options);
  const served = new ServedProxies({ keepMs, tell });
  const identities = ca === undefined ? undefined : new Identities(ca, Date.now);
  const control = await controlFromFiles({
    paths,
    source,
    meshConfig,
    statusAddress,
    analyse: true,
    identities,
    tell,
    prepare: (input) => ({ input, findings: [], proxies: (mesh) => served.identitiesIn(mesh) }),
    fleet: (host) => served.openFleet(host),
    more: () => ({ streams: streamsJson(served.streams) }),
  });
  const servers: AdsServer[] = [];
  let tls: MeshCredentials | undefined;
  const close = async (graceMs: number) => {
    await Promise.all(servers.map((server) => server.close(graceMs)));
    tls?.close();
    await control.close(graceMs);
  };
  try {
    if (xds.port > 0) {
      const credentials = ServerCredentials.createInsecure();
      const admit = served.admitting(false);
      servers.push(await startAdsServer({ listen: xds, option: '--xds', credentials, admit }));
    }
    if (xdsTls && identities) {
      tls = meshCredentials(identities, control.report.mesh.config.trustDomain, (error) => tell({ kind: 'failed', error }));
      const admit = served.admitting(true);
      servers.push(
        await startAdsServer({ listen: xdsTls, option: '--xds-tls', credentials: tls.credentials, mostAgeMs: MOST_AGE_MS, admit }),
      );
    }
  } catch (error) {
    await close(0);
    throw error;
  }
  const { watch, reload, use, reopenLogs } = control;
  return {
    get report() {
      return control.report;
    },
    watch,
    reload,
    use,
    reopenLogs,
    close,
  };
}

function checkAddresses({ xds, xdsTls, ca }: ControllerOptions): void {
  if (xds.port > 0 && !isLoopbackAddress(xds.address))
    throw new SallyportError(
      'usage',
      `--xds ${xds.address}:${xds.port}: without TLS only clients on this machine are served. For others there is --xds-tls`,
    );
  if (xdsTls && ca === undefined)
    throw new SallyportError(
      'usage',
      '--xds-tls needs the CA that signs its certificate and those of its clients: name its folder with --ca',
    );
  if (xds.port === 0 && !xdsTls) throw new SallyportError('usage', 'with --xds 0 there has to be --xds-tls: else nobody is served');
}
