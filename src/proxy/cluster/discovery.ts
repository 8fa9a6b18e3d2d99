/** Where a cluster's hosts come from. */
import type { DnsResolver } from '../dns/resolver.ts';
import type { Address, ChoiceContext, UpstreamFailure, UpstreamHost } from '../types.ts';
import type { Balancer } from './balancer.ts';
import { type EndpointEntry, isName } from './endpoints.ts';
import { addressText, Host, type HostEntry, HostTable } from './host.ts';
import type { ClusterSettings } from './settings.ts';

export type Choice = UpstreamHost | UpstreamFailure | undefined;
export type Later = (choice: UpstreamHost | UpstreamFailure) => void;

export interface Discovery {
  choose(context: ChoiceContext, later: Later): Choice;
  readonly hosts: Iterable<Host>;
  /** Which hosts may be used has changed. */
  regroup(): void;
  /** New endpoints of an EDS cluster. */
  update(entries: readonly EndpointEntry[]): void;
  close(): void;
}

export interface Environment {
  readonly resolver: DnsResolver;
  /** Milliseconds; monotonic. */
  readonly now: () => number;
}

const NO_HOST: UpstreamFailure = { kind: 'no-host' };

/** STATIC and EDS. */
export function fixedHosts(entries: readonly EndpointEntry[], balancer: Balancer): Discovery {
  const table = new HostTable();
  const update = (next: readonly EndpointEntry[]): void => {
    table.update(next);
    balancer.update(table);
  };
  const regroup = (): void => {
    table.regroup();
    balancer.update(table);
  };
  update(entries);
  return {
    choose: ({ hash }) => balancer.choose(hash) ?? NO_HOST,
    get hosts() {
      return table.hosts;
    },
    update,
    regroup,
    close: () => table.clear(),
  };
}

interface Watch {
  ips: readonly string[];
  answered: boolean;
  timer: NodeJS.Timeout | undefined;
}

/**
 * STRICT_DNS: every address of every name; LOGICAL_DNS: the first address of its name. Requests that come before the first answers wait for them. A
 * lookup that fails keeps the addresses that are known.
 */
export function resolvedHosts(
  entries: readonly EndpointEntry[],
  settings: ClusterSettings,
  balancer: Balancer,
  env: Environment,
): Discovery {
  const table = new HostTable();
  const watches = new Map<string, Watch>();
  let waiting: (() => void)[] = [];
  let closed = false;

  function rebuild(): void {
    const next = entries.flatMap((entry): HostEntry[] => {
      if (!isName(entry.address)) return [entry];
      const ips = watches.get(entry.address.ip)?.ips ?? [];
      const used = settings.discovery === 'logical-dns' ? ips.slice(0, 1) : ips;
      return used.map((ip) => ({ ...entry, address: { ip, port: entry.address.port }, hostname: entry.hostname || entry.address.ip }));
    });
    table.update(next);
    balancer.update(table);
  }

  function ready(): boolean {
    for (const watch of watches.values()) if (!watch.answered) return false;
    return true;
  }

  async function look(name: string, watch: Watch): Promise<void> {
    const result = await env.resolver.resolve(name, settings.lookupFamily);
    if (closed) return;
    const first = !watch.answered;
    watch.answered = true;
    let next = settings.refreshMs;
    if (result.kind === 'found') {
      if (settings.respectTtl) next = result.ttlMs;
      if (result.ips.length === 0) next = settings.failureRefreshMs;
      if (first || result.ips.join() !== watch.ips.join()) {
        watch.ips = result.ips;
        rebuild();
      }
    } else {
      next = settings.failureRefreshMs;
    }
    // Timers hold at most 2^31-1 ms; the resolver's cache ends with the TTL, so look just after.
    watch.timer = setTimeout(() => void look(name, watch), Math.min(next + 10, 0x7fffffff)).unref();
    if (first && ready()) {
      const callbacks = waiting;
      waiting = [];
      for (const callback of callbacks) callback();
    }
  }

  rebuild();
  for (const { address } of entries) {
    if (!isName(address) || watches.has(address.ip)) continue;
    const watch: Watch = { ips: [], answered: false, timer: undefined };
    watches.set(address.ip, watch);
    void look(address.ip, watch);
  }

  return {
    choose({ hash }, later) {
      if (ready()) return balancer.choose(hash) ?? NO_HOST;
      waiting.push(() => later(balancer.choose(hash) ?? NO_HOST));
      return undefined;
    },
    get hosts() {
      return table.hosts;
    },
    update: () => undefined,
    regroup() {
      table.regroup();
      balancer.update(table);
    },
    close() {
      closed = true;
      for (const watch of watches.values()) clearTimeout(watch.timer);
      const callbacks = waiting;
      waiting = [];
      for (const callback of callbacks) callback();
      table.clear();
    },
  };
}

const ON_DEMAND = { weight: 1, priority: 0, locality: '', localityWeight: 0, healthy: true, transportMatch: undefined, workload: '' };

/** Hosts that are made when they are asked for, and go when they have not been used for a while. */
class OnDemandHosts {
  readonly #hosts = new Map<string, Host>();
  readonly #timer: NodeJS.Timeout;
  readonly #now: () => number;

  constructor(cleanupMs: number, now: () => number) {
    this.#now = now;
    this.#timer = setInterval(() => this.#clean(cleanupMs), cleanupMs).unref();
  }

  get hosts(): Iterable<Host> {
    return this.#hosts.values();
  }

  at(address: Address, hostname: string): Host {
    const key = `${addressText(address)} ${hostname}`;
    let host = this.#hosts.get(key);
    if (!host) {
      host = new Host({ ...ON_DEMAND, address, hostname });
      this.#hosts.set(key, host);
    }
    host.usedAt = this.#now();
    return host;
  }

  #clean(age: number): void {
    for (const [key, host] of this.#hosts) {
      if (host.active > 0 || host.connections > 0 || this.#now() - host.usedAt < age) continue;
      host.live = false;
      this.#hosts.delete(key);
    }
  }

  close(): void {
    clearInterval(this.#timer);
    for (const host of this.#hosts.values()) host.live = false;
    this.#hosts.clear();
  }
}

/** ORIGINAL_DST: the address that the client dialled; connections without one have no host. */
export function originalDestination(settings: ClusterSettings, env: Environment): Discovery {
  const made = new OnDemandHosts(settings.cleanupMs, env.now);
  return {
    choose({ downstream }) {
      if (!downstream?.localAddressRestored) return NO_HOST;
      const { ip, port } = downstream.localAddress;
      return made.at({ ip, port: settings.portOverride ?? port }, '');
    },
    get hosts() {
      return made.hosts;
    },
    update: () => undefined,
    regroup: () => undefined,
    close: () => made.close(),
  };
}

/** Dynamic forward proxy: the host that the request (or the SNI) names, resolved when it is asked for. */
export function dynamicForwardProxy(family: ClusterSettings['lookupFamily'], hostTtlMs: number, env: Environment): Discovery {
  const made = new OnDemandHosts(hostTtlMs, env.now);
  const known = new Map<string, string>();
  return {
    choose({ target }, later) {
      if (!target) return NO_HOST;
      const name = target.ip.toLowerCase();
      void env.resolver.resolve(name, family).then((result) => {
        const ip = result.kind === 'found' ? result.ips[0] : known.get(name);
        if (ip === undefined) {
          if (result.kind === 'found') known.delete(name);
          later({ kind: 'dns', reason: result.kind === 'found' ? 'no such host' : result.reason });
          return;
        }
        if (known.size > 10_000) known.clear();
        known.set(name, ip);
        later(made.at({ ip, port: target.port }, name));
      });
      return undefined;
    },
    get hosts() {
      return made.hosts;
    },
    update: () => undefined,
    regroup: () => undefined,
    close: () => made.close(),
  };
}
