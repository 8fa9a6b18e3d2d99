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
  const { tokens, cluster, ca } = options;
  checkAddresses(options);
  if (tokens.jwks !== undefined) jwksIn(tokens.jwks);
  const keeper = cluster && (await ClusterKeeper.open(cluster, ca, (error) => tell({ kind: 'not-kept', error })));
  return MeshController.started(options, keeper, tell);
}

/** With whom the controller shows its identity to others. */
interface Secured {
  readonly ca: string;
  readonly identities: Identities;
}

class MeshController implements Controller {
  readonly #options: ControllerOptions;
  readonly #tell: (event: ControlEvent) => void;
  readonly #keeper: ClusterKeeper | undefined;
  readonly #secured: Secured | undefined;
  readonly #served: ServedProxies;
  /** Renewed with the CA. */
  readonly #credentials: MeshCredentials[] = [];
  readonly #servers: (GrpcServer | AdmissionServer)[] = [];
  #control!: ControlPlane;
  #flows: MeshFlows | undefined;

  private constructor(options: ControllerOptions, keeper: ClusterKeeper | undefined, tell: (event: ControlEvent) => void) {
    const { ca, keepMs } = options;
    this.#options = options;
    this.#keeper = keeper;
    this.#tell = tell;
    this.#secured = ca === undefined ? undefined : { ca, identities: new Identities(ca, Date.now) };
    this.#served = new ServedProxies({ keepMs, tell });
  }

  /** Where it can't start, nothing is left behind. */
  static async started(
    options: ControllerOptions,
    keeper: ClusterKeeper | undefined,
    tell: (event: ControlEvent) => void,
  ): Promise<Controller> {
    const controller = new MeshController(options, keeper, tell);
    try {
      await controller.#read();
    } catch (error) {
      await keeper?.close();
      throw error;
    }
    try {
      await controller.#serve();
    } catch (error) {
      await controller.close(0);
      throw error;
    }
    return controller;
  }

  async #read(): Promise<void> {
    const { paths, source, meshConfig, ca, statusAddress } = this.#options;
    this.#control = await controlFromFiles({
      paths,
      source,
      meshConfig,
      statusAddress,
      analyse: true,
      identities: this.#secured?.identities,
      ca,
      authorityChanged: () => {
        for (const credentials of this.#credentials) credentials.renew();
        this.#keeper?.authorityChanged();
      },
      tell: (event) => {
        if (event.kind === 'findings') this.#keeper?.tell(event.fresh, event.mended);
        this.#tell(event);
      },
      prepare: (input) => {
        this.#keeper?.see(input.snapshot, input.mesh);
        this.#flows?.follow(addressesOf(input.snapshot, this.#host));
        return { input, findings: [], proxies: (mesh) => this.#served.identitiesIn(mesh) };
      },
      fleet: (host) => this.#served.openFleet(host),
      more: () => ({ streams: streamsJson(this.#served.streams) }),
    });
  }

  async #serve(): Promise<void> {
    const { xds, xdsTls, webhook } = this.#options;
    this.#served.prepare(PREPARE_MS);
    if (xds.port > 0)
      this.#servers.push(
        await startAdsServer({ ...this.#adsOptions, listen: xds, option: '--xds', more: clientStatus(() => this.#served.streams) }),
      );
    this.#keepCluster();
    if (webhook && this.#secured)
      this.#servers.push(await startWebhook(webhook, this.#ownCredentials(this.#secured), () => this.report.mesh, this.#tell));
    if (xdsTls && this.#secured) await this.#serveTls(xdsTls, this.#secured);
  }

  #keepCluster(): void {
    const keeper = this.#keeper;
    if (!keeper) return;
    if (this.#secured) keeper.keep(this.#secured.identities, this.#trustDomain);
    keeper.keepGateways(() => this.report.findings);
    keeper.see(this.report.mesh.snapshot, this.report.mesh.config);
  }

  async #serveTls(listen: SocketAddress, secured: Secured): Promise<void> {
    const { ca, identities } = secured;
    const credentials = this.#ownCredentials(secured);
    const authentication = new Authentication({
      tokens: { ...this.#options.tokens, ca, cluster: this.#keeper?.tokens },
      trustDomain: this.#trustDomain,
      refused: (address, reason) => this.#tell({ kind: 'unauthenticated', address, reason }),
    });
    const identify = (peer: Peer) => authentication.identify(peer);
    const authority = caService({ identities, trustDomain: this.#trustDomain, identify, failed: this.#failed });
    const server = await startAdsServer({
      ...this.#adsOptions,
      listen,
      option: '--xds-tls',
      tls: credentials.first,
      mostAgeMs: MOST_AGE_MS,
      identify,
      more: new Map<string, Handler>([[CREATE_CERTIFICATE, authority], ...this.#flowHandlers(identities, identify, listen.port)]),
    });
    credentials.follow((renewed) => server.setTls(renewed));
    this.#servers.push(server);
  }

  /** Of those who tell of their calls, and of the other controllers, which have others that do; none where nobody is to be asked for calls. */
  #flowHandlers(identities: Identities, identify: Identify, port: number): (readonly [string, Handler])[] {
    const { tellersChanged } = this.#options;
    if (!tellersChanged) return [];
    const own = new FlowService({
      identify,
      proxyAt: (peer, proven) => this.#served.proxyAt(peer, proven),
      gatewayAt: gatewaysByAddress(() => this.report.mesh),
      changed: () => this.#flows?.changed(),
    });
    const flows = new MeshFlows({
      own: own.hub,
      reach: () => reachOf(this.#served, own.telling),
      credentials: (address) => peerCredentials(identities, this.#trustDomain(), address),
      isController: (peer) => isController(peer, this.#trustDomain()),
      port,
      changed: tellersChanged,
    });
    this.#flows = flows;
    flows.follow(addressesOf(this.report.mesh.snapshot, this.#host));
    return [
      [TELL_FLOWS, own.serve],
      [RELAY_FLOWS, flows.serve],
    ];
  }

  get #adsOptions(): Pick<AdsServerOptions, 'virtualHosts' | 'admit' | 'answer'> {
    return {
      virtualHosts: this.#options.virtualHosts,
      admit: (node, client, stream) => this.#served.admit(node, client, stream),
      answer: (typeUrl, client) =>
        typeUrl === SYNC_STATUS ? syncStatus(this.#served.streams, seenBy(client.identity, this.report.mesh.config)) : [],
    };
  }

  /** The name by which it is called. */
  get #host(): string {
    return this.#options.service ?? CONTROL_PLANE_HOST;
  }

  readonly #trustDomain = () => this.report.mesh.config.trustDomain;

  readonly #failed = (error: unknown) => this.#tell({ kind: 'failed', error });

  #ownCredentials({ identities }: Secured, names?: readonly string[]): MeshCredentials {
    const made = meshCredentials(identities, this.#trustDomain(), this.#failed, this.#host, names);
    this.#credentials.push(made);
    return made;
  }

  get report(): ControlPlane['report'] {
    return this.#control.report;
  }

  get flows(): Controller['flows'] {
    return this.#flows;
  }

  readonly credentials: Controller['credentials'] = (names) => this.#secured && this.#ownCredentials(this.#secured, names);
  readonly watch: Controller['watch'] = () => this.#control.watch();
  readonly reload: Controller['reload'] = () => this.#control.reload();
  readonly use: Controller['use'] = (paths) => this.#control.use(paths);
  readonly reopenLogs: Controller['reopenLogs'] = () => this.#control.reopenLogs();

  readonly close: Controller['close'] = async (graceMs) => {
    // API servers learn only by and by that they are to ask another; whom nobody answers makes no pods.
    await Promise.all(this.#servers.map((server) => server.close(graceMs)));
    this.#flows?.close();
    await this.#keeper?.close();
    for (const credentials of this.#credentials) credentials.close();
    await this.#control.close(graceMs);
  };
}

type Identify = NonNullable<AdsServerOptions['identify']>;

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
