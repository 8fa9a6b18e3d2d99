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

interface Registered {
  readonly source: FlowSource;
  /** Before the ids of its flows. */
  readonly prefix: string;
  readonly identity: Pick<ProxyIdentity, 'type' | 'namespace' | 'name' | 'bindAddress' | 'addresses'>;
}

/** Of so many open calls it is remembered who made them. */
const MOST_CALLERS = 10_000;

export class FlowHub {
  readonly #sources = new Set<Registered>();
  readonly #watchers = new Set<FlowWatcher>();
  /** Routers by their addresses. */
  readonly #routers = new Map<string, string>();
  readonly #processOf: ProcessOf | undefined;
  /** Of calls that have begun and not ended. */
  readonly #callers = new Map<string, FlowProcess>();
  #prefixes = 0;

  constructor(processOf?: ProcessOf) {
    this.#processOf = processOf;
  }

  /** How many watch. */
  get watchers(): number {
    return this.#watchers.size;
  }

  /** Has a proxy take part, until what is returned is called. */
  register(identity: Registered['identity'], source: FlowSource): () => void {
    const one = { source, identity, prefix: `${++this.#prefixes}-` };
    this.#sources.add(one);
    const addresses = identity.type === 'router' ? [...identity.addresses, ...(identity.bindAddress ? [identity.bindAddress] : [])] : [];
    for (const address of addresses) this.#routers.set(address, proxyName(identity));
    if (this.#watchers.size > 0) void this.#watch(one);
    return () => {
      this.#sources.delete(one);
      for (const address of addresses) this.#routers.delete(address);
    };
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
    const of = async ({ source, identity, prefix }: Registered) =>
      (await source.recentFlows().catch(() => [])).map((flow) => this.#completed(flow, identity, prefix, undefined));
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
    if (!this.#processOf) return undefined;
    const key = prefix + id;
    const known = this.#callers.get(key);
    if (kind === 'end') this.#callers.delete(key);
    const process = known ?? this.#processOf(splitAddress(source));
    if (kind === 'begin' && process && this.#callers.size < MOST_CALLERS) this.#callers.set(key, process);
    return process;
  }

  /** A proxy that is just ending tells of nothing any more. */
  async #watch({ source, identity, prefix }: Registered): Promise<void> {
    const wanted = this.#watchers.size > 0;
    const deliver = wanted
      ? (flow: ProxyFlow) => this.#take(this.#completed(flow, identity, prefix, this.#callerOf(flow, prefix)))
      : undefined;
    await source.watchFlows(deliver, (count) => this.#drop(count, proxyName(identity)), this.#sparing).catch(() => undefined);
  }

  #completed(flow: ProxyFlow, identity: Registered['identity'], prefix: string, process: FlowProcess | undefined): Flow {
    const gateway = flow.upstream === undefined ? undefined : this.#routers.get(splitAddress(flow.upstream).ip);
    const { kind, time, id, ...rest } = flow;
    return {
      kind,
      time,
      id: prefix + id,
      proxy: proxyName(identity),
      role: identity.type,
      ...rest,
      ...(gateway !== undefined && gateway !== proxyName(identity) && { gateway }),
      ...(process && { process }),
    };
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

/** As flows name a proxy. */
export function proxyName({ namespace, name }: Pick<ProxyIdentity, 'namespace' | 'name'>): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}
