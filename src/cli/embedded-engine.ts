/** The embedded data plane as an engine: worker threads that carry the traffic, and their admin server. */
import { availableParallelism } from 'node:os';
import { create } from '@bufbuild/protobuf';
import type { AdminServer, LogLevel } from '../admin/index.ts';
import { messageOf } from '../lib/errors.ts';
import type { DataPlaneStatus, Log } from '../proxy/dataplane.ts';
import { startWorkers, type Workers } from '../proxy/workers.ts';
import type { Proxy as ProxyIdentity } from '../translate/model.ts';
import { NameTableSchema } from '../xds/gen/istio/nds_pb.js';
import type { XdsResources, XdsUpdate } from '../xds/resources.ts';
import { Accepted } from './accepted.ts';
import type { Engine, Refusal } from './engine.ts';
import { type NodeJson, nodeJson } from './node.ts';
import type { SocketOption } from './options.ts';
import { say } from './session.ts';
import { productVersion } from './version.ts';

export interface EmbeddedOptions {
  readonly identity: ProxyIdentity;
  /** Takes the place of what the identity makes of the xDS node. */
  readonly node: Partial<NodeJson> | undefined;
  readonly admin: SocketOption | undefined;
  readonly dns: SocketOption | undefined;
  /** Worker threads; 0 for as many as the machine has cores. */
  readonly concurrency: number;
}

/** Envoy's levels by weight; ours lie among them. */
const WEIGHTS: Readonly<Record<LogLevel | 'warn', number>> = {
  trace: 0,
  debug: 1,
  info: 2,
  warn: 3,
  warning: 3,
  error: 4,
  critical: 5,
  off: 6,
};

/** The first change rejects with `port-in-use` where the admin server's or the DNS server's port cannot be had. */
export function startEmbedded({ identity, node: own, admin, dns, concurrency: asked }: EmbeddedOptions): Engine {
  const concurrency = asked || availableParallelism();
  const node = { ...nodeJson(identity), ...own } as NodeJson;
  const level: { value: LogLevel } = { value: 'warning' };
  const log: Log = (weight, message) => {
    if (WEIGHTS[weight] >= WEIGHTS[level.value]) say(message);
  };
  const workers = startWorkers({
    concurrency,
    log,
    environment: { ...process.env },
    nodeMetadata: node.metadata,
    dns: dns && { ip: dns.address, port: dns.port },
  });
  return new EmbeddedEngine(workers, async (view) => {
    if (!admin) return undefined;
    const [{ createAdmin }, { adminSource }] = await Promise.all([import('../admin/index.ts'), import('./admin-source.ts')]);
    return createAdmin(adminSource({ version: productVersion(), node, admin, concurrency, workers, level, ...view }), admin);
  });
}

interface View {
  readonly accepted: Accepted;
  /** Of the last update. */
  readonly status: () => readonly DataPlaneStatus[];
}

class EmbeddedEngine implements Engine {
  readonly name = 'embedded';
  /** Workers that die are started again: it never fails as a whole. */
  readonly failed: Promise<Error> = new Promise(() => {});
  readonly #startAdmin: (view: View) => Promise<AdminServer | undefined>;
  #admin: AdminServer | undefined;
  #adminAsked = false;
  readonly #workers: Workers;
  readonly #accepted = new Accepted({
    listeners: [],
    routes: [],
    clusters: [],
    endpoints: [],
    secrets: [],
    nameTable: create(NameTableSchema),
  });
  #status: readonly DataPlaneStatus[] = [];

  readonly #reopenLogs = () => void this.#workers.reopenLogs().catch((error: unknown) => say(messageOf(error)));

  constructor(workers: Workers, startAdmin: (view: View) => Promise<AdminServer | undefined>) {
    this.#workers = workers;
    this.#startAdmin = startAdmin;
    // As Envoy: whoever rotates the access logs sends it afterwards.
    process.on('SIGUSR1', this.#reopenLogs);
  }

  async apply(resources: XdsResources, update: XdsUpdate): Promise<readonly Refusal[]> {
    const ack = await this.#workers.apply(update);
    this.#accepted.take(resources, update, ack, Date.now());
    this.#status = await this.#workers.status();
    if (!this.#adminAsked) {
      // Only now: traffic does not wait for it.
      this.#adminAsked = true;
      this.#admin = await this.#startAdmin({ accepted: this.#accepted, status: () => this.#status });
    }
    return ack.rejected.map(({ type, name, message, code }) => ({ resource: `${type} ${name}`, message, key: `${type}/${name}`, code }));
  }

  async close(graceMs: number): Promise<void> {
    process.off('SIGUSR1', this.#reopenLogs);
    // Workers that never came into being have nothing to drain.
    if (this.#status.length > 0) await this.#workers.drain(graceMs).catch(() => {});
    await this.#admin?.close();
    await this.#workers.close();
  }
}
