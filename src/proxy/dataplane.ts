/** The embedded data plane: takes xDS, carries traffic. Everything that it does comes from the resources that it was given. */
import { setImmediate } from 'node:timers/promises';
import { create, fromBinary } from '@bufbuild/protobuf';
import { AuditSeat, type SeatData } from '../audit/seat.ts';
import type { FlowDelivery, ProxyFlow } from '../flows/flow.ts';
import { compileEncodedRoutes, type EncodedRoutes, patchEncodedRoutes } from '../http/routes/encoded.ts';
import type { Contained } from '../lib/contained.ts';
import { codeOf, messageOf } from '../lib/errors.ts';
import { createPace, paced } from '../lib/pace.ts';
import { PROXY_ENVIRONMENT } from '../lib/proxy-environment.ts';
import { refusedBy } from '../lib/refused-host.ts';
import { SecretSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { NameTableSchema } from '../xds/gen/istio/nds_pb.js';
import { refusalOf } from '../xds/match/metadata.ts';
import { indexEncodedNames, indexNames, type NameIndex } from '../xds/name-index.ts';
import { BLACK_HOLE_CLUSTER } from '../xds/names.ts';
import type { NodeJson } from '../xds/node.ts';
import type { ResourceType, SentResource, SentUpdate, XdsAck } from '../xds/resources.ts';
import { LOG_SERVICES } from './access-log/logger.ts';
import { Clusters } from './cluster/manager.ts';
import { createDnsResolver } from './dns/resolver.ts';
import type { DnsServer } from './dns/server.ts';
import { DataPlaneFlows, type Sparing } from './flow-source.ts';
import { HeldCalls, knownAddress } from './held-calls.ts';
import type { HttpFactory } from './http-factory.ts';
import { HTTP_CONNECTION_MANAGER, NETWORK_EXT_AUTHZ, type NetworkFilters } from './listener/chain.ts';
import { Listeners } from './listener/manager.ts';
import type { Log } from './log.ts';
import { Observer, type TurnedAway } from './observed.ts';
import { SharedTokens, tokenMemory } from './shared-tokens.ts';
import { Sinks } from './sinks.ts';
import { clusterStatsSource, listenerStatsSource, type StatsSnapshot } from './stats/index.ts';
import { type DataPlaneStatus, dataPlaneStatus } from './status.ts';
import { endRefused } from './tcp/open-connections.ts';
import { createTcpProxy } from './tcp/proxy.ts';
import type { OpenConnection } from './tcp/settings.ts';
import { credentialsIn } from './tls/credential-values.ts';
import { MaterialStore } from './tls/material.ts';
import { TicketSecret, type TicketSeed } from './tls/sessions.ts';
import type { Address } from './types.ts';

export type { Log, LogLevel } from './log.ts';
export type { DataPlaneStatus } from './status.ts';

export interface DataPlaneOptions {
  readonly log: Log;
  /** For `%ENVIRONMENT(NAME)%` in formats. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The proxy's xDS node, by which spans name it and from which Istio's metrics take the workload; without it they are not kept. */
  readonly node?: NodeJson | undefined;
  /** Ports are shared with other workers, of which the first alone has what cannot be shared. Default: alone. */
  readonly sharesPorts?: boolean;
  readonly first?: boolean;
  /** Name servers instead of those of /etc/resolv.conf, `ip` or `ip:port`. */
  readonly nameServers?: readonly string[] | undefined;
  /** Where the DNS server answers (over UDP and TCP), as `DnsServerOptions.address`; without it there is none. */
  readonly dns?: Address | undefined;
  /** Of the proxy's workload, `namespace/name`, where that is the one that calls; in what is told of calls. */
  readonly workload?: string | undefined;
  /** Carries the calls of a contained command: accepts on its sockets alone, and what nothing allows is refused at once and never looked up. */
  readonly contained?: Contained | undefined;
  /** By which TLS sessions of another thread are resumed here; by default this one's alone. */
  readonly tickets?: TicketSeed | undefined;
  /** Every call is audited there; where it can't be, none begins. */
  readonly audit?: SeatData | undefined;
  /** Memory for local rate limits that other threads of the proxy have too. Default: alone. */
  readonly tokens?: SharedArrayBuffer | undefined;
}

export interface DataPlane {
  /**
   * Takes a change of the set over; resolves when it is in force. What is refused keeps its last good version. Updates take effect one after the
   * other, in the order of the calls. `probe` (default true): find out of new ports, before they are shared, that no stranger has them.
   */
  apply(update: SentUpdate, probe?: boolean): Promise<XdsAck>;
  stats(): StatsSnapshot;
  status(): DataPlaneStatus;
  /** The address of the DNS server. */
  readonly dnsAddress: Address | undefined;
  /** Opens access logs anew, after they were rotated. */
  reopenLogs(): Promise<void>;
  /** Accepts no more connections, tells idle ones to close, and resolves when none is left or after `graceMs`, with logs written. */
  drain(graceMs: number): Promise<void>;
  /** From now on what is told of calls goes there, or nowhere. */
  watchFlows(deliver: FlowDelivery | undefined, sparing?: Sparing): void;
  /** The ends of the last calls, oldest first. */
  recentFlows(): readonly ProxyFlow[];
  /** Ends everything now and writes what logs still hold. */
  close(): void;
}

/** Clusters and what they need come before what refers to them (make before break). */
const ORDER: readonly ResourceType[] = ['secret', 'endpoint', 'cluster', 'route', 'nameTable', 'listener'];

/** How long an update may keep the thread from its traffic at a time. */
const SLICE_MS = 10;

const MAX_INTEGER = Number.MAX_SAFE_INTEGER;
const EMPTY_NAMES = indexNames(create(NameTableSchema));

/** The listener of the explicit proxy, whose one chain is for what nothing declares, and the cluster that refuses. */
const EXPLICIT_PROXY = 'explicit_proxy';

/** For the services of access logs, at the end. */
const LAST_ENTRIES_MS = 2000;

function has(bytes: Uint8Array, name: string): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(name);
}

/** What waits at sockets that listen has been accepted: in the loop's first turn after this one that polls. */
async function waitingTaken(): Promise<void> {
  await setImmediate();
  await setImmediate();
}

/** Rejects if the DNS server's port cannot be had. */
export async function createDataPlane(options: DataPlaneOptions): Promise<DataPlane> {
  const { log } = options;
  const now = () => performance.now();
  const random = Math.random;
  const resolver = createDnsResolver({ servers: options.nameServers, now });
  const { contained } = options;
  const store = new MaterialStore(contained?.minter, new TicketSecret(options.tickets));
  const seat = options.audit && new AuditSeat(options.audit);
  const admits = seat && (() => seat.admits);
  const clusters = new Clusters({ resolver, now, store, random, internal: (name) => listeners.internal(name) });
  const flows: DataPlaneFlows = new DataPlaneFlows({
    workload: options.workload,
    now,
    date: Date.now,
    nameOf: (ip) => observer?.nameOf(ip),
    audit: seat && ((flow) => seat.tell(flow)),
  });
  const turnedAway = (call: TurnedAway) => flows.turnedAway(call);
  const observer = contained && new Observer(contained.observe, turnedAway);
  // Credentials for forward proxies: tunnels may read them, and no log.
  const logged = Object.fromEntries(Object.entries(options.environment).filter(([name]) => !name.startsWith(PROXY_ENVIRONMENT)));
  const held =
    contained?.asker &&
    new HeldCalls({
      asker: contained.asker,
      isDeclared: ({ host, port }) => {
        const ip = knownAddress(host, names);
        return ip !== undefined && listeners.at({ ip, port }) !== undefined;
      },
    });
  const sinks = new Sinks({
    observers: observer ? [observer, flows] : [flows],
    node: options.node,
    environment: logged,
    clusters,
    log: (message) => log('error', message),
  });
  sinks.registry.addSource(clusterStatsSource(() => clusters.all()));
  const routes = new Map<string, { readonly version: string; readonly routes: EncodedRoutes }>();
  const pace = createPace(SLICE_MS, now);
  const open = new Set<OpenConnection>();
  let names: NameIndex = EMPTY_NAMES;
  const tokens = new SharedTokens(options.tokens ?? tokenMemory());
  let http: HttpFactory | undefined;
  let version = '';
  let ids = 0;
  let queue: Promise<unknown> = Promise.resolve();
  let closed = false;
  /** What nothing declares leads nowhere (`REGISTRY_ONLY`). */
  let closedToUnknown = true;
  /** The first configuration is in force: what waits at handed sockets is answered from now on. */
  const whole = Promise.withResolvers<void>();
  let probes = true;

  const filters: NetworkFilters = {
    store,
    // Loaded before the first listener that has a connection manager is compiled.
    http: (config, context) => http!.create(config, context),
    authorizer: (config, where) => http!.authorizer(config, where),
    ask: (call, done) => http!.ask(call, done),
    tcp: (config, overrides, context) => {
      const sink = sinks.create('tcp', config.accessLog, config.statPrefix, context.direction, context.counts);
      const format = { ...sinks.formatContext, environment: options.environment };
      return createTcpProxy(config, overrides, { clusters, sink, random, now, date: Date.now, format, open }, context.where);
    },
  };
  const listeners = new Listeners(
    {
      filters,
      explicitProxy: {
        names: () => names,
        resolver,
        log: (message) => log('info', message),
        turnedAway,
        closed: observer && {
          isClosed: () => closedToUnknown,
          isDeclared: (address) => listeners.at(address) !== undefined,
          observer,
          held,
        },
      },
      handed: contained && { sockets: contained.sockets.listeners, whole: whole.promise },
      interception: observer?.interception,
      createSink: (config) => sinks.logs(config.accessLog),
      nextId: () => ++ids,
      admits,
      now,
      date: Date.now,
      log,
      reusePort: options.sharesPorts ?? false,
      first: options.first ?? true,
      probes: () => probes,
    },
    pace,
  );
  sinks.registry.addSource(listenerStatsSource(() => listeners.all()));
  let dns = options.dns && !contained ? await startDns(options.dns) : undefined;

  async function startDns(address: Address): Promise<DnsServer> {
    const { createDnsServer } = await import('./dns/server.ts');
    return createDnsServer({
      address,
      names: () => (names === EMPTY_NAMES ? undefined : names),
      upstreams: options.nameServers,
      now,
      log: (message) => log('error', message),
      contained: contained &&
        observer && { sockets: contained.sockets, observer, addressOf: (name) => (closedToUnknown ? held?.addressOf(name) : undefined) },
    });
  }

  async function loadHttp(): Promise<void> {
    if (http) return;
    const { createHttpFactory } = await import('./http-factory.ts');
    http = createHttpFactory({
      clusters,
      routes: { get: (name) => routes.get(name)?.routes.table },
      sinks,
      random: () => Math.floor(random() * MAX_INTEGER),
      now,
      log,
      credentials: contained?.credentials ?? credentialsIn(store, log),
      admits,
      tokens,
    });
  }

  /** Puts one resource in force, or throws. */
  async function set(resource: SentResource, leaving: readonly string[]): Promise<void> {
    const { type, name, bytes, version: content } = resource;
    if (type === 'route') await setRoute(resource);
    else if (!bytes) throw new Error(`a patch of ${type} ${name}: routes alone have patches`);
    else if (type === 'secret') store.set(fromBinary(SecretSchema, bytes));
    else if (type === 'endpoint') clusters.setEndpoints(name, bytes, content);
    else if (type === 'cluster') setCluster(name, bytes, content);
    else if (type === 'nameTable') names = await paced(indexEncodedNames(bytes), pace);
    else await setListener(name, bytes, content, leaving);
  }

  function setCluster(name: string, bytes: Uint8Array, content: string): void {
    const ignored = clusters.set(name, bytes, content);
    if (ignored.length > 0) log('debug', `cluster "${name}": accepted without effect: ${ignored.join(', ')}`);
  }

  async function setRoute({ name, bytes, patch, version: content }: SentResource): Promise<void> {
    const old = routes.get(name);
    if (old?.version === content) return;
    const context = sinks.formatContext;
    let steps: Generator<void, EncodedRoutes>;
    if (old && patch?.base === old.version) steps = patchEncodedRoutes(patch, context, old.routes);
    else if (bytes) steps = compileEncodedRoutes(bytes, context, old?.routes);
    else throw new Error(`a patch of route ${name} for a version that is not in force`);
    routes.set(name, { version: content, routes: await paced(steps, pace) });
  }

  async function setListener(name: string, bytes: Uint8Array, content: string, leaving: readonly string[]): Promise<void> {
    // Its types are loaded only where they are needed; whoever just names them in passing loads them for nothing.
    if (has(bytes, HTTP_CONNECTION_MANAGER) || has(bytes, NETWORK_EXT_AUTHZ)) await loadHttp();
    if (has(bytes, LOG_SERVICES)) {
      await loadHttp();
      await sinks.loadServices((call, done) => http!.ask(call, done));
    }
    await listeners.set(name, bytes, content, leaving);
    if (name === EXPLICIT_PROXY) closedToUnknown = has(bytes, BLACK_HOLE_CLUSTER);
  }

  function remove(type: ResourceType, name: string): void {
    if (type === 'secret') store.delete(name);
    else if (type === 'endpoint') clusters.deleteEndpoints(name);
    else if (type === 'cluster') clusters.delete(name);
    else if (type === 'route') routes.delete(name);
    else if (type === 'nameTable') names = EMPTY_NAMES;
    else listeners.delete(name);
  }

  function refuses(name: string): boolean {
    const cluster = clusters.get(name);
    return !cluster || name === BLACK_HOLE_CLUSTER || refusedBy(name) !== undefined || refusalOf(cluster.config.metadata) !== undefined;
  }

  async function run(update: SentUpdate): Promise<XdsAck> {
    const rejected: { type: ResourceType; name: string; message: string; code: string | undefined }[] = [];
    const leaving = update.removed.filter(({ type }) => type === 'listener').map(({ name }) => name);
    for (const type of ORDER) {
      for (const resource of update.changed) {
        if (resource.type !== type || closed) continue;
        try {
          await set(resource, leaving);
          const pause = pace();
          if (pause) await pause;
        } catch (error) {
          rejected.push({ type, name: resource.name, message: messageOf(error), code: codeOf(error) });
        }
      }
    }
    for (const type of [...ORDER].reverse()) {
      for (const resource of update.removed) if (resource.type === type) remove(type, resource.name);
    }
    if (open.size > 0) await paced(endRefused(open, { chainFor: (downstream) => listeners.chainFor(downstream), refuses }), pace);
    version = update.version;
    seat?.configured(version);
    held?.changed();
    whole.resolve();
    if (contained && options.dns && !closed) dns ??= await startDns(options.dns);
    return { version, rejected };
  }

  return {
    apply(update, probe = true) {
      const result = queue.then(() => {
        probes = probe;
        return run(update);
      });
      queue = result.catch(() => undefined);
      return result;
    },
    stats: () => sinks.registry.snapshot(),
    status: () => dataPlaneStatus({ version, clusters, listeners, store }),
    get dnsAddress() {
      return dns?.address;
    },
    reopenLogs: () => sinks.files.reopen(),
    watchFlows: (deliver, sparing) => flows.watch(deliver, sparing),
    recentFlows: () => flows.recent,
    async drain(graceMs) {
      // Of a command that has ended, too, all calls are told of.
      if (contained) await waitingTaken();
      listeners.drain();
      const end = now() + graceMs;
      while (listeners.active > 0 && now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
      await sinks.flush(LAST_ENTRIES_MS);
    },
    close() {
      closed = true;
      dns?.close();
      listeners.close();
      http?.close();
      clusters.close();
      store.close();
      resolver.close();
      sinks.files.closeSync();
      seat?.flush();
    },
  };
}
