/** The embedded data plane as an engine: what carries the traffic, and its admin server. */

import { availableParallelism } from 'node:os';
import { create } from '@bufbuild/protobuf';
import type { AdminServer, LogLevel } from '../../admin/index.ts';
import type { Contained } from '../../lib/contained.ts';
import type { Logger } from '../../lib/logger.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import type { SocketAddress } from '../../lib/socket-address.ts';
import { productVersion } from '../../lib/version.ts';
import type { Carrier } from '../../proxy/carrier.ts';
import { NameTableSchema } from '../../xds/gen/istio/nds_pb.js';
import { type NodeJson, nodeJson } from '../../xds/node.ts';
import type { XdsAck, XdsResources, XdsUpdate } from '../../xds/resources.ts';
import type { Engine, EngineHost, Refusal } from '../contract.ts';
import { proxyFlows } from '../proxy-flows.ts';
import { Accepted } from './accepted.ts';

export interface EmbeddedOptions {
  readonly identity: ProxyIdentity;
  /** Takes the place of what the identity makes of the xDS node. */
  readonly node: Partial<NodeJson> | undefined;
  readonly admin: SocketAddress | undefined;
  readonly dns: SocketAddress | undefined;
  readonly contained: Contained | undefined;
  /** Whether what is in force is all that the proxy is to run; undefined: the first change is. */
  readonly whole: (() => boolean) | undefined;
  /** Worker threads; 0 for as many as the machine has cores. */
  readonly concurrency: number;
  /** Nothing else has work in this thread, so that with a concurrency of 1 it carries the traffic itself. */
  readonly alone: boolean;
  /** What weighs less than the admin server's log level is not given to its log. */
  readonly host: EngineHost;
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
export async function startEmbedded(given: EmbeddedOptions): Promise<Engine> {
  const { identity, node: own, admin, dns, contained, whole = () => true, concurrency: asked, alone, host } = given;
  const startTime = Date.now();
  const concurrency = asked || availableParallelism();
  const node = { ...nodeJson(identity), ...own } as NodeJson;
  const level: { value: LogLevel } = { value: 'warning' };
  const log: Logger = (weight, message) => {
    if (WEIGHTS[weight] >= WEIGHTS[level.value]) host.log(weight, message);
  };
  const options = {
    log,
    environment: { ...host.environment },
    node,
    dns: dns && { ip: dns.address, port: dns.port },
    contained,
    workload: identity.type === 'sidecar' ? `${identity.namespace}/${identity.name}` : undefined,
    audit: host.audit && (() => host.audit!.seat(identity)),
  };
  // Each loads what the other does not need.
  const carrier =
    alone && concurrency === 1
      ? (await import('../../proxy/in-thread.ts')).startInThread(options)
      : (await import('../../proxy/workers.ts')).startWorkers({ ...options, concurrency });
  const unwatch = host.flows?.register(identity, carrier);
  const changed = (update: XdsUpdate, ack: XdsAck) => host.audit?.configured(identity, update, ack);
  return new EmbeddedEngine(carrier, { unwatch, changed }, async (view) => {
    if (!admin) return undefined;
    const { createAdmin } = await import('../../admin/index.ts');
    const load = async () =>
      (await import('./admin-source.ts')).adminSource({
        version: productVersion(),
        node,
        admin,
        concurrency,
        startTime,
        carrier,
        level,
        quit: host.quit,
        flows: proxyFlows(identity, host.flows),
        audit: host.audit,
        accepted: view.accepted,
        live: () => view.live() && whole(),
      });
    return createAdmin(load, admin);
  });
}

interface View {
  readonly accepted: Accepted;
  /** Whether a first change is in force. */
  readonly live: () => boolean;
}

interface Told {
  /** The flows of the proxy end. */
  readonly unwatch: (() => void) | undefined;
  readonly changed: (update: XdsUpdate, ack: XdsAck) => void;
}

class EmbeddedEngine implements Engine {
  readonly name = 'embedded';
  /** Workers that die are started again: it never fails as a whole. */
  readonly failed: Promise<Error> = new Promise(() => {});
  readonly #startAdmin: (view: View) => Promise<AdminServer | undefined>;
  #admin: AdminServer | undefined;
  #adminAsked = false;
  readonly #carrier: Carrier;
  readonly #told: Told;
  readonly #accepted = new Accepted({
    listeners: [],
    routes: [],
    clusters: [],
    endpoints: [],
    secrets: [],
    nameTable: create(NameTableSchema),
  });
  #live = false;

  constructor(carrier: Carrier, told: Told, startAdmin: (view: View) => Promise<AdminServer | undefined>) {
    this.#carrier = carrier;
    this.#told = told;
    this.#startAdmin = startAdmin;
  }

  async apply(resources: XdsResources, update: XdsUpdate): Promise<readonly Refusal[]> {
    const ack = await this.#carrier.apply(update);
    this.#told.changed(update, ack);
    this.#accepted.take(resources, update, ack, Date.now());
    this.#live = true;
    if (!this.#adminAsked) {
      // Only now: traffic does not wait for it.
      this.#adminAsked = true;
      this.#admin = await this.#startAdmin({ accepted: this.#accepted, live: () => this.#live });
    }
    return ack.rejected.map(({ type, name, message, code }) => ({ resource: `${type} ${name}`, message, key: `${type}/${name}`, code }));
  }

  reopenLogs(): Promise<void> {
    return this.#carrier.reopenLogs();
  }

  async close(graceMs: number): Promise<void> {
    // What never came into being has nothing to drain.
    if (this.#live) await this.#carrier.drain(graceMs).catch(() => {});
    this.#told.unwatch?.();
    await this.#admin?.close();
    await this.#carrier.close();
  }
}
