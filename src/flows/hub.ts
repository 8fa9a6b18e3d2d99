/**
 * Where the flows of a process's proxies meet those who watch them. As long as nobody does, the proxies are not asked for any, and their traffic pays for one
 * look at a field.
 */
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { FlowFilter } from './filter.ts';
import type { Flow, FlowProcess, FlowSource, ProxyFlow } from './flow.ts';

/** The program whose socket this is, where that can be found out. */
export type ProcessOf = (source: { readonly ip: string; readonly port: number }) => FlowProcess | undefined;

export interface FlowWatcher {
  readonly filter: FlowFilter;
  readonly take: (flow: Flow) => void;
  /** So many were lost before the next one. */
  readonly dropped: (count: number) => void;
  /** The process ends. */
  readonly ended: () => void;
}

interface Registered {
  readonly source: FlowSource;
  /** Before the ids of its flows. */
  readonly prefix: string;
  readonly identity: Pick<ProxyIdentity, 'type' | 'namespace' | 'name' | 'bindAddress' | 'addresses'>;
}

export class FlowHub {
  readonly #sources = new Set<Registered>();
  readonly #watchers = new Set<FlowWatcher>();
  /** Routers by their addresses. */
  readonly #routers = new Map<string, string>();
  readonly #processOf: ProcessOf | undefined;
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

  /** Resolves when every proxy tells of its calls; what is returned ends it. */
  async watch(watcher: FlowWatcher): Promise<() => void> {
    this.#watchers.add(watcher);
    await Promise.all([...this.#sources].map((one) => this.#watch(one)));
    return () => {
      if (!this.#watchers.delete(watcher) || this.#watchers.size > 0) return;
      for (const one of this.#sources) void this.#watch(one);
    };
  }

  /** Tells all who watch that nothing comes any more. */
  end(): void {
    for (const { ended } of this.#watchers) ended();
  }

  /** A proxy that is just ending tells of nothing any more. */
  async #watch({ source, identity, prefix }: Registered): Promise<void> {
    const wanted = this.#watchers.size > 0;
    const deliver = wanted ? (flow: ProxyFlow) => this.#take(this.#completed(flow, identity, prefix)) : undefined;
    await source.watchFlows(deliver, this.#dropped).catch(() => undefined);
  }

  #completed(flow: ProxyFlow, identity: Registered['identity'], prefix: string): Flow {
    const gateway = flow.upstream === undefined ? undefined : this.#routers.get(splitAddress(flow.upstream).ip);
    const process = this.#processOf?.(splitAddress(flow.source));
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
    for (const { filter, take } of this.#watchers) if (filter(flow)) take(flow);
  }

  readonly #dropped = (count: number): void => {
    for (const { dropped } of this.#watchers) dropped(count);
  };
}

/** As flows name a proxy. */
export function proxyName({ namespace, name }: Pick<ProxyIdentity, 'namespace' | 'name'>): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}

function splitAddress(text: string): { readonly ip: string; readonly port: number } {
  const colon = text.lastIndexOf(':');
  return { ip: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}
