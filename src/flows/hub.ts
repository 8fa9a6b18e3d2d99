/**
 * Where the flows of a process's proxies meet those who watch them. As long as nobody does, the proxies are not asked for any, and their traffic pays for one
 * look at a field.
 */
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { splitAddress } from '../lib/socket-address.ts';
import type { FlowFilter } from './filter.ts';
import type { Flow, FlowProcess, FlowSource, ProxyFlow } from './flow.ts';

/** The program whose socket this is, where that can be found out. */
export type ProcessOf = (source: { readonly ip: string; readonly port: number }) => FlowProcess | undefined;

export interface FlowWatcher {
  readonly filter: FlowFilter;
  /** Of very many calls that go well some may be left out, if all who watch agree. */
  readonly sparing?: boolean;
  readonly take: (flow: Flow) => void;
  /** So many of this proxy's were lost before the next one. */
  readonly dropped: (count: number, proxy: string) => void;
  /** The process ends. */
  readonly ended: () => void;
}

type Identity = Pick<ProxyIdentity, 'type' | 'namespace' | 'name' | 'bindAddress' | 'addresses'>;

interface Registered {
  /** What is asked of the source; proxies are named in what comes of it. */
  readonly source: FlowSource<Flow>;
  /** Before the ids of its flows. */
  readonly prefix: string;
}

export interface FlowHubOptions {
  readonly processOf?: ProcessOf | undefined;
  /** The gateway at an address, `namespace/name`, beside those that are registered. */
  readonly gatewayAt?: ((ip: string) => string | undefined) | undefined;
}

/** Of so many open calls it is remembered who made them. */
const MOST_CALLERS = 10_000;

export class FlowHub {
  readonly #sources = new Set<Registered>();
  readonly #watchers = new Set<FlowWatcher>();
  /** Routers by their addresses. */
  readonly #routers = new Map<string, string>();
  readonly #options: FlowHubOptions;
  /** Of calls that have begun and not ended. */
  readonly #callers = new Map<string, FlowProcess>();
  #prefixes = 0;

  constructor(options: FlowHubOptions = {}) {
    this.#options = options;
  }

  /** How many watch. */
  get watchers(): number {
    return this.#watchers.size;
  }

  /** Has a proxy take part, until what is returned is called. */
  register(identity: Identity, source: FlowSource): () => void {
    const leave = this.relay(named(identity, source));
    const addresses = identity.type === 'router' ? [...identity.addresses, ...(identity.bindAddress ? [identity.bindAddress] : [])] : [];
    for (const address of addresses) this.#routers.set(address, proxyName(identity));
    return () => {
      leave();
      for (const address of addresses) this.#routers.delete(address);
    };
  }

  /** The same for what hears of several proxies. */
  relay(source: FlowSource<Flow>): () => void {
    const one = { source, prefix: `${++this.#prefixes}-` };
    this.#sources.add(one);
    if (this.#watchers.size > 0) void this.#watch(one);
    return () => void this.#sources.delete(one);
  }

  /**
   * Resolves when every proxy tells of its calls; what is returned ends it.
   * @param last so many calls that have ended before are told first, as far as the proxies remember them
   */
  async watch(watcher: FlowWatcher, last = 0): Promise<() => void> {
    const told = last > 0 ? new AfterRecent(watcher) : watcher;
    this.#watchers.add(told);
    await Promise.all([...this.#sources].map((one) => this.#watch(one)));
    if (told instanceof AfterRecent) told.recent((await this.recent()).filter(watcher.filter).slice(-last));
    return () => {
      const sparing = this.#sparing;
      if (!this.#watchers.delete(told) || (this.#watchers.size > 0 && this.#sparing === sparing)) return;
      if (this.#watchers.size === 0) this.#callers.clear();
      for (const one of this.#sources) void this.#watch(one);
    };
  }

  /** The ends of the calls that ended last, oldest first. Whose program called is not looked up: its port may be another's by now. */
  async recent(): Promise<readonly Flow[]> {
    const of = async ({ source, prefix }: Registered) =>
      (await source.recentFlows().catch(() => [])).map((flow) => this.#completed(flow, prefix, undefined));
    const all = (await Promise.all([...this.#sources].map(of))).flat();
    return all.sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
  }

  /** Tells all who watch that nothing comes any more. */
  end(): void {
    for (const watcher of this.#watchers) watcher.ended();
  }

  get #sparing(): boolean {
    return [...this.#watchers].every(({ sparing = false }) => sparing);
  }

  /** When a call ends, who began it may have gone. */
  #callerOf({ kind, id, source }: ProxyFlow, prefix: string): FlowProcess | undefined {
    const { processOf } = this.#options;
    if (!processOf) return undefined;
    const key = prefix + id;
    const known = this.#callers.get(key);
    if (kind === 'end') this.#callers.delete(key);
    const process = known ?? processOf(splitAddress(source));
    if (kind === 'begin' && process && this.#callers.size < MOST_CALLERS) this.#callers.set(key, process);
    return process;
  }

  /** A proxy that is just ending tells of nothing any more. */
  async #watch({ source, prefix }: Registered): Promise<void> {
    const wanted = this.#watchers.size > 0;
    const deliver = wanted ? (flow: Flow) => this.#take(this.#completed(flow, prefix, this.#callerOf(flow, prefix))) : undefined;
    await source.watchFlows(deliver, (count, proxy = '') => this.#drop(count, proxy), this.#sparing).catch(() => undefined);
  }

  #completed(flow: Flow, prefix: string, process: FlowProcess | undefined): Flow {
    const { upstream, proxy, gateway = upstream === undefined ? undefined : this.#gatewayAt(splitAddress(upstream).ip) } = flow;
    return {
      ...flow,
      id: prefix + flow.id,
      ...(gateway !== undefined && gateway !== proxy && { gateway }),
      ...(process && { process }),
    };
  }

  #gatewayAt(ip: string): string | undefined {
    return this.#routers.get(ip) ?? this.#options.gatewayAt?.(ip);
  }

  #take(flow: Flow): void {
    for (const watcher of this.#watchers) if (watcher.filter(flow)) watcher.take(flow);
  }

  #drop(count: number, proxy: string): void {
    for (const watcher of this.#watchers) watcher.dropped(count, proxy);
  }
}

/** Holds back what comes until what was before is told, and tells of no call twice. */
class AfterRecent implements FlowWatcher {
  readonly #watcher: FlowWatcher;
  #held: Flow[] | undefined = [];
  readonly #told = new Set<string>();

  constructor(watcher: FlowWatcher) {
    this.#watcher = watcher;
  }

  get filter(): FlowFilter {
    return this.#watcher.filter;
  }

  get sparing(): boolean {
    return this.#watcher.sparing ?? false;
  }

  recent(flows: readonly Flow[]): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const flow of flows) {
      this.#told.add(flow.id);
      this.#watcher.take(flow);
    }
    for (const flow of held) this.take(flow);
  }

  take(flow: Flow): void {
    if (this.#held) this.#held.push(flow);
    else if (!this.#told.has(flow.id)) this.#watcher.take(flow);
  }

  dropped(count: number, proxy: string): void {
    this.#watcher.dropped(count, proxy);
  }

  ended(): void {
    this.#watcher.ended();
  }
}

/** A proxy that is named in what it tells. */
function named(identity: Identity, source: FlowSource): FlowSource<Flow> {
  const proxy = proxyName(identity);
  const of = ({ kind, time, id, ...rest }: ProxyFlow): Flow => ({ kind, time, id, proxy, role: identity.type, ...rest });
  return {
    watchFlows: (deliver, dropped, sparing) =>
      source.watchFlows(deliver && ((flow) => deliver(of(flow))), (count) => dropped(count, proxy), sparing),
    recentFlows: async () => (await source.recentFlows()).map(of),
  };
}

/** As flows name a proxy. */
export function proxyName({ namespace, name }: Pick<ProxyIdentity, 'namespace' | 'name'>): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}
