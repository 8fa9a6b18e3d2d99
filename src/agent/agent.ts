/**
 * `sallyport agent`: what a stock Envoy needs beside it. The agent gets the workload's identity, gives it to Envoy, and passes on what the control plane says
 * (`docs/decisions/agent.md`); it starts Envoy once there is an identity, says when it is ready, and drains it at the end.
 */
import { existsSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fromJson } from '@bufbuild/protobuf';
import { Metadata } from '@grpc/grpc-js';
import { certificatesIn } from '../ca/certificates.ts';
import { EnvoyAdmin } from '../engine/envoy/admin.ts';
import { createAdminFront } from '../engine/envoy/admin-front.ts';
import type { ToldUnwatched } from '../engine/envoy/flows/listeners.ts';
import { accessLogService, envoyFlows, LAST_ENTRIES_MS } from '../engine/envoy/flows/service.ts';
import { claimFolder, clearLeftovers } from '../engine/envoy/leftovers.ts';
import { proxyFlows } from '../engine/proxy-flows.ts';
import type { FlowHub } from '../flows/hub.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { readNeededText } from '../lib/regular-file.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { clientCredentials } from '../xds/ads/client-credentials.ts';
import { NodeSchema } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { nodeJson } from '../xds/node.ts';
import { type AdsProxy, type AdsProxyEvent, startAdsProxy } from './ads-proxy.ts';
import type { AppProbes } from './app-probes.ts';
import { requestCertificate } from './ca-client.ts';
import { ADMIN_SOCKET, EnvoyChild } from './envoy.ts';
import { CaIdentity, type IdentityEvent } from './identity.ts';
import { rootsCame } from './mesh-roots.ts';
import { Names } from './names.ts';
import { followProvider } from './provider.ts';
import { Secrets } from './secrets.ts';
import { startAgentServers } from './servers.ts';

export interface AgentOptions {
  readonly identity: ProxyIdentity;
  /** Of the control plane and its CA. */
  readonly controller: SocketAddress;
  /** File with the certificates of those who may be the control plane; read each time that it is asked. */
  readonly rootCert: string;
  /** File with the workload's token; read each time that it is needed. */
  readonly tokenFile: string;
  /** Where another provider of identities may listen: it comes first. */
  readonly workloadSocket: string;
  /** How long certificates are to last, ms. */
  readonly lifeMs: number;
  readonly envoy: string;
  readonly concurrency: number;
  readonly logLevel: string;
  /** Of Envoy, on a loopback address; port 0 for none. */
  readonly admin: SocketAddress;
  readonly status: SocketAddress;
  readonly metrics: SocketAddress;
  readonly appMetrics: string | undefined;
  readonly probes: AppProbes;
  /** Where the workload's questions for names are answered; undefined for nowhere. */
  readonly dns: SocketAddress | undefined;
  /** How long Envoy drains before it ends, ms. */
  readonly drainMs: number;
  /** Where calls can be watched. */
  readonly flows: FlowHub;
  /** Of which calls Envoy tells while nobody watches. */
  readonly told: ToldUnwatched;
}

export type AgentEvent =
  | IdentityEvent
  | AdsProxyEvent
  /** The identities come from the provider at this socket. */
  | { readonly kind: 'provider'; readonly socket: string }
  | { readonly kind: 'provider-lost'; readonly socket: string; readonly reason: string }
  /** Envoy did not take its identity. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** Of the DNS server, without its questions. */
  | { readonly kind: 'dns-failed'; readonly reason: string }
  | { readonly kind: 'ready' };

export interface Agent {
  /** Settles when it can't go on, as when Envoy has ended without having been told to. */
  readonly failed: Promise<unknown>;
  reopenLogs(): Promise<void>;
  /** Asks for a new certificate now. */
  renew(): Promise<void>;
  /** Drains Envoy for as long as it was told to, and ends it. */
  close(): Promise<void>;
}

/** Between two looks at an Envoy that starts, ms. */
const LOOK_MS = 100;

/** Resolves when it has begun; what becomes of it is told. Rejects with `file-unreadable`, and with what ports are taken. */
export async function startAgent(options: AgentOptions, tell: (event: AgentEvent) => void): Promise<Agent> {
  const { controller, rootCert, tokenFile, drainMs } = options;
  const secrets = new Secrets();
  const { dns } = options;
  const names = dns && new Names();
  const node = nodeJson({ ...options.identity, countsBy: 'envoy', answersDns: dns !== undefined });
  const way: Way = {
    secrets,
    // What the mesh says of its roots came from somebody who was known by those of the file; while roots are replaced either may know more.
    trusted: () => withoutDoubles(`${readNeededText(rootCert)}\n${secrets.roots}`),
    token: () => readNeededText(tokenFile).trim(),
  };
  // What is wrong with the file now is the user's to mend; later it may be for a moment.
  way.trusted();
  clearLeftovers(tmpdir());
  const folder = claimFolder(tmpdir());
  const admin = new EnvoyAdmin(join(folder, ADMIN_SOCKET));
  const flows = envoyFlows(options.identity, admin);
  const unwatch = options.flows.register(options.identity, flows);
  let source: IdentitySource | undefined;
  let proxy: AdsProxy | undefined;
  let envoy: EnvoyChild | undefined;
  let ready = false;
  let closed = false;
  const notReady = async () => {
    if (closed) return 'Envoy drains';
    if (!secrets.complete) return 'there is no identity yet';
    if (names && !names.known && !ready) return 'the names of the mesh are not known yet';
    // Where it was ready once, what is new may warm while the rest is served.
    if (!(await admin.isReady()) && !ready) return 'Envoy waits for its configuration';
    if (!ready) {
      await flows.follow();
      tell({ kind: 'ready' });
    }
    ready = true;
    return undefined;
  };
  const servers: { close(): unknown }[] = [];
  let watch: NodeJS.Timeout | undefined;
  const end = async () => {
    closed = true;
    clearInterval(watch);
    source?.close();
    await envoy?.end();
    unwatch();
    flows.close();
    proxy?.close();
    for (const server of servers) await server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  let fail: (error: unknown) => void = () => {};
  const failed = new Promise<unknown>((resolve) => {
    fail = resolve;
  });
  try {
    source = identitySource(options, way, tell);
    const { notAfter } = source;
    servers.push(
      await startAgentServers({
        ...options,
        address: options.identity.addresses[0]!,
        admin: admin.socketPath,
        nodeMetadata: node.metadata,
        notReady,
        notAfter,
      }),
    );
    if (dns && names) servers.push(await names.serve(dns, (reason) => tell({ kind: 'dns-failed', reason })));
    if (options.admin.port > 0)
      servers.push(await createAdminFront(admin.socketPath, options.admin, { flows: proxyFlows(options.identity, options.flows) }));
  } catch (error) {
    await end();
    throw error;
  }
  const refused = (reason: string) => tell({ kind: 'refused', reason });
  const run = async () => {
    await firstOf(secrets);
    if (closed) return;
    const socket = join(folder, 'agent.sock');
    proxy = await startAdsProxy({
      socket,
      target: controller,
      secrets,
      told: options.told,
      flows: options.flows,
      more: accessLogService(flows),
      credentials: () => clientCredentials(controller.address, { ca: way.trusted(), ...(secrets.own ? { own: secrets.own } : {}) }),
      metadata: () => {
        const metadata = new Metadata();
        // A provider may keep its keys from us.
        if (!secrets.own) metadata.set('authorization', `Bearer ${way.token()}`);
        return metadata;
      },
      // Whom a provider's workloads trust is the provider's to say.
      rootsCame: source?.provided ? undefined : (roots) => rootsCame(roots, { secrets, renew: () => void source?.renew(), refused }),
      namesCame: names && ((table) => names.came(table)),
      refused,
      tell,
    });
    if (closed) return;
    envoy = new EnvoyChild({ ...options, binary: options.envoy, folder, xds: socket, node });
    void envoy.failed.then(fail);
    watch = setInterval(() => {
      if (ready) clearInterval(watch);
      else void notReady().catch(() => undefined);
    }, LOOK_MS).unref();
  };
  run().catch(fail);
  return {
    failed,
    reopenLogs: () => admin.reopenLogs(),
    renew: async () => source?.renew(),
    async close() {
      closed = true;
      const started = await admin.startDraining().then(
        () => true,
        () => false,
      );
      // Whoever sends calls here learns only now, by and by, that there is nobody any more: until then they are served.
      if (started) await delay(drainMs);
      await flows.complete(LAST_ENTRIES_MS);
      await end();
    },
  };
}

interface Way {
  readonly secrets: Secrets;
  /** PEM of those who may be the control plane. Throws `file-unreadable`. */
  readonly trusted: () => string;
  /** Throws `file-unreadable`. */
  readonly token: () => string;
}

interface IdentitySource {
  /** By another provider than the CA. */
  readonly provided: boolean;
  /** ms since the epoch, where it is known. */
  readonly notAfter: () => number | undefined;
  renew(): Promise<void>;
  close(): void;
}

function identitySource(
  { identity, controller, workloadSocket: socket, lifeMs }: AgentOptions,
  way: Way,
  tell: (event: AgentEvent) => void,
): IdentitySource {
  const { secrets, trusted, token } = way;
  if (existsSync(socket)) {
    tell({ kind: 'provider', socket });
    const lost = (reason: string) => tell({ kind: 'provider-lost', socket, reason });
    const node = fromJson(NodeSchema, nodeJson(identity));
    return { provided: true, notAfter: () => undefined, renew: async () => {}, close: followProvider({ socket, node, secrets, lost }) };
  }
  token();
  const ca = new CaIdentity({
    secrets,
    tell,
    request: async (key, by) => {
      const proof = by === 'certificate' && secrets.own ? secrets.own : { token: token() };
      return requestCertificate({ target: controller, roots: trusted(), proof, key, lifeMs });
    },
  });
  void ca.renew();
  return { provided: false, notAfter: () => ca.notAfter, renew: () => ca.renew(), close: () => ca.close() };
}

function firstOf(secrets: Secrets): Promise<void> {
  if (secrets.complete) return Promise.resolve();
  return new Promise((resolve) => {
    const end = secrets.onChange(() => {
      if (!secrets.complete) return;
      end();
      resolve();
    });
  });
}

function withoutDoubles(text: string): string {
  return [...new Set(certificatesIn(text))].join('');
}
