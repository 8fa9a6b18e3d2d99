/** `sallyport controller`: the control plane alone, for proxies that connect to it over xDS. */

import type { ChannelCredentials } from '@grpc/grpc-js';
import { Identities } from '../../ca/identities.ts';
import { jwksIn, type TokenOptions } from '../../ca/tokens.ts';
import { proxyName } from '../../flows/hub.ts';
import { type ProxyReach, RELAY_FLOWS, TELL_FLOWS } from '../../flows/remote/messages.ts';
import { SallyportError } from '../../lib/errors.ts';
import type { GrpcServer, Handler, Peer } from '../../lib/grpc/server.ts';
import { isLoopbackAddress, type SocketAddress } from '../../lib/socket-address.ts';
import { CONTROL_PLANE_HOST } from '../../lib/spiffe.ts';
import { clientCredentials } from '../../xds/ads/client-credentials.ts';
import { type AdsServerOptions, startAdsServer } from '../../xds/ads/server.ts';
import type { AdmissionServer } from '../admission/server.ts';
import { startWebhook, type WebhookOptions } from '../admission/webhook.ts';
import { type ControlPlane, controlFromFiles, type OpenSource } from '../from-files.ts';
import { type ClusterDuties, ClusterKeeper } from '../kubernetes/index.ts';
import type { ControlEvent } from '../report.ts';
import { Authentication, isController } from './authentication.ts';
import { CREATE_CERTIFICATE, caService } from './ca-service.ts';
import { clientStatus, SYNC_STATUS, seenBy, syncStatus } from './client-status.ts';
import { controllerId, type MeshCredentials, meshCredentials } from './credentials.ts';
import { FlowService } from './flow-service.ts';
import { gatewaysByAddress } from './gateways-by-address.ts';
import { addressesOf, MeshFlows } from './mesh-flows.ts';
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
  /** For clients with a certificate of the CA or a token, and the CA's service; undefined for none. */
  readonly xdsTls: SocketAddress | undefined;
  /** Which tokens are taken beside those that were made with the CA's own key. */
  readonly tokens: Pick<TokenOptions, 'jwks' | 'audience' | 'issuer'>;
  /** The webhook that adds proxies to pods; undefined for none. */
  readonly webhook?: WebhookOptions | undefined;
  /** What is done in the cluster that is read; undefined: nothing is written there. */
  readonly cluster?: ClusterDuties | undefined;
  /** The name of the Service by which it is called, where that is not Istio's. */
  readonly service?: string | undefined;
  /** Port 0 for no status server. */
  readonly statusAddress: SocketAddress;
  /** How long a proxy is kept that nobody is connected as, ms. */
  readonly keepMs: number;
  /** Envoys that can get virtual hosts as resources of their own. */
  readonly virtualHosts: boolean;
  /** Told whenever other proxies tell of their calls; undefined: nobody is to be asked for calls. */
  readonly tellersChanged?: (() => void) | undefined;
}

export interface Controller extends ControlPlane {
  /** The calls of the proxies that are connected; undefined where nobody is asked for them. */
  readonly flows: Pick<MeshFlows, 'hub' | 'reach'> | undefined;
  /** How something else that is served proves who it is, by the CA and under these names beside its own; undefined without the CA. */
  credentials(names: readonly string[]): MeshCredentials | undefined;
}

/** Before the first proxies are served. */
const PREPARE_MS = 5000;
/** As Istio's: certificates that have ended, and clients that are trusted no more, are out by then. */
const MOST_AGE_MS = 30 * 60_000;

/** Resolves when what the files say is served. Rejects with `usage` for addresses that are not to be served, and as `jwksIn`. */
export async function startController(options: ControllerOptions, tell: (event: ControlEvent) => void): Promise<Controller> {
  const { paths, source, meshConfig, ca, xds, xdsTls, tokens, statusAddress, keepMs, virtualHosts } = options;
  const { webhook, cluster, service = CONTROL_PLANE_HOST, tellersChanged } = options;
  checkAddresses(options);
  if (tokens.jwks !== undefined) jwksIn(tokens.jwks);
  const served = new ServedProxies({ keepMs, tell });
  const failed = (error: unknown) => tell({ kind: 'failed', error });
  const keeper = cluster && (await ClusterKeeper.open(cluster, ca, (error) => tell({ kind: 'not-kept', error })));
  const identities = ca === undefined ? undefined : new Identities(ca, Date.now);
  const tls: MeshCredentials[] = [];
  let flows: MeshFlows | undefined;
  const started = controlFromFiles({
    paths,
    source,
    meshConfig,
    statusAddress,
    analyse: true,
    identities,
    ca,
    authorityChanged: () => {
      for (const credentials of tls) credentials.renew();
      keeper?.authorityChanged();
    },
    tell: (event) => {
      if (event.kind === 'findings') keeper?.tell(event.fresh, event.mended);
      tell(event);
    },
    prepare: (input) => {
      keeper?.see(input.snapshot, input.mesh);
      flows?.follow(addressesOf(input.snapshot, service));
      return { input, findings: [], proxies: (mesh) => served.identitiesIn(mesh) };
    },
    fleet: (host) => served.openFleet(host),
    more: () => ({ streams: streamsJson(served.streams) }),
  });
  const control = await started.catch(async (error: unknown) => {
    await keeper?.close();
    throw error;
  });
  const servers: GrpcServer[] = [];
  let hook: AdmissionServer | undefined;
  const admit: AdsServerOptions['admit'] = (node, client, stream) => served.admit(node, client, stream);
  const close = async (graceMs: number) => {
    // API servers learn only by and by that they are to ask another; whom nobody answers makes no pods.
    await Promise.all([...servers, ...(hook ? [hook] : [])].map((server) => server.close(graceMs)));
    flows?.close();
    await keeper?.close();
    for (const credentials of tls) credentials.close();
    await control.close(graceMs);
  };
  const answer: AdsServerOptions['answer'] = (typeUrl, client) => {
    if (typeUrl !== SYNC_STATUS) return [];
    return syncStatus(served.streams, seenBy(client.identity, control.report.mesh.config));
  };
  try {
    served.prepare(PREPARE_MS);
    if (xds.port > 0)
      servers.push(
        await startAdsServer({ listen: xds, option: '--xds', virtualHosts, admit, answer, more: clientStatus(() => served.streams) }),
      );
    const trustDomain = () => control.report.mesh.config.trustDomain;
    if (keeper) {
      if (identities) keeper.keep(identities, trustDomain);
      keeper.keepGateways(() => control.report.findings);
      keeper.see(control.report.mesh.snapshot, control.report.mesh.config);
    }
    if (webhook && identities) {
      const credentials = meshCredentials(identities, trustDomain(), failed, service);
      tls.push(credentials);
      hook = await startWebhook(webhook, credentials, () => control.report.mesh, tell);
    }
    if (xdsTls && ca !== undefined && identities) {
      const credentials = meshCredentials(identities, trustDomain(), failed, service);
      tls.push(credentials);
      const authentication = new Authentication({
        tokens: { ...tokens, ca, cluster: keeper?.tokens },
        trustDomain,
        refused: (address, reason) => tell({ kind: 'unauthenticated', address, reason }),
      });
      const identify = (peer: Peer) => authentication.identify(peer);
      const more = new Map<string, Handler>([[CREATE_CERTIFICATE, caService({ identities, trustDomain, identify, failed })]]);
      if (tellersChanged) {
        const own = new FlowService({
          identify,
          proxyAt: (peer, proven) => served.proxyAt(peer, proven),
          gatewayAt: gatewaysByAddress(() => control.report.mesh),
          changed: () => flows?.changed(),
        });
        flows = new MeshFlows({
          own: own.hub,
          reach: () => reachOf(served, own.telling),
          credentials: (address) => peerCredentials(identities, trustDomain(), address),
          isController: (peer) => isController(peer, trustDomain()),
          port: xdsTls.port,
          changed: tellersChanged,
        });
        flows.follow(addressesOf(control.report.mesh.snapshot, service));
        more.set(TELL_FLOWS, own.serve).set(RELAY_FLOWS, flows.serve);
      }
      const server = await startAdsServer({
        listen: xdsTls,
        option: '--xds-tls',
        tls: credentials.first,
        mostAgeMs: MOST_AGE_MS,
        identify,
        virtualHosts,
        admit,
        answer,
        more,
      });
      credentials.follow((renewed) => server.setTls(renewed));
      servers.push(server);
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
    flows,
    watch,
    reload,
    use,
    reopenLogs,
    credentials: (names) => {
      const made = identities && meshCredentials(identities, control.report.mesh.config.trustDomain, failed, service, names);
      if (made) tls.push(made);
      return made;
    },
    close,
  };
}

function peerCredentials(identities: Identities, trustDomain: string, address: string): ChannelCredentials {
  const { chain, key, trusted } = identities.forServer(trustDomain, controllerId(trustDomain), [CONTROL_PLANE_HOST]);
  return clientCredentials(address, { ca: trusted, own: { certificate: chain, key: key.reveal().toString() } });
}

function reachOf({ streams }: ServedProxies, telling: ReadonlySet<string>): readonly ProxyReach[] {
  const connected = new Set(streams.map(({ identity }) => proxyName(identity)));
  return [...connected].map((proxy) => ({ proxy, tells: telling.has(proxy) }));
}

function checkAddresses({ xds, xdsTls, ca, webhook }: ControllerOptions): void {
  if (webhook && ca === undefined)
    throw new SallyportError('usage', '--webhook needs the CA that signs its certificate: name its folder with --ca');
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
