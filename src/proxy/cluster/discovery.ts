/** Where a cluster's hosts come from. */
import { isAnyAddress, parseIp } from '../../lib/ip.ts';
import { addressText } from '../../lib/socket-address.ts';
import { type Binding, dialsByName, nameDialled } from '../../xds/match/binding.ts';
import { addressRefusal, portRefusal, type Reach } from '../../xds/match/reach.ts';
import type { DnsResolver } from '../dns/resolver.ts';
import type { Address, ChoiceContext, UpstreamFailure, UpstreamHost } from '../types.ts';
import type { Balancer } from './balancer.ts';
import type { EndpointEntry } from './endpoints.ts';
import { Host, HostTable } from './host.ts';
import { RecentAnswers } from './recent-answers.ts';
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

export const NO_HOST: UpstreamFailure = { kind: 'no-host' };

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

const ON_DEMAND = { weight: 1, priority: 0, locality: '', localityWeight: 0, healthy: true, transportMatch: undefined, workload: '' };

/** Hosts of one cluster that are kept though nobody has a connection to them. */
const MOST_IDLE = 2048;

/** Hosts that are made when they are asked for, and go when they have not been used for a while. */
class OnDemandHosts {
  readonly #hosts = new Map<string, Host>();
  readonly #cleanupMs: number;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  /** So many bring a look for those that nobody uses. */
  #most = MOST_IDLE;

  constructor(cleanupMs: number, now: () => number) {
    this.#now = now;
    this.#cleanupMs = cleanupMs;
  }

  get hosts(): Iterable<Host> {
    return this.#hosts.values();
  }

  at(address: Address, hostname: string): Host {
    const key = `${addressText(address)} ${hostname}`;
    let host = this.#hosts.get(key);
    if (!host) {
      if (this.#hosts.size >= this.#most) this.#makeRoom();
      host = new Host({ ...ON_DEMAND, address, hostname });
      this.#hosts.set(key, host);
      this.#timer ??= setInterval(() => this.#clean(this.#cleanupMs), this.#cleanupMs).unref();
    }
    host.usedAt = this.#now();
    return host;
  }

  /** A caller that makes names up is not to fill the memory: those without a connection go before their time. */
  #makeRoom(): void {
    this.#clean(0);
    // Where most are in use they are not gone through for each new one.
    this.#most = Math.max(MOST_IDLE, this.#hosts.size * 2);
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

/**
 * ORIGINAL_DST: the address that the client dialled. Connections without one have no host, nor have those to 0.0.0.0 or ::, which stand for a name
 * without an address; the system would take them for this machine. Of what is bound to a name the address has to be one of the name's.
 */
export function originalDestination(
  settings: ClusterSettings,
  { reach, binding }: { readonly reach: Reach | undefined; readonly binding: Binding | undefined },
  env: Environment,
): Discovery {
  const made = new OnDemandHosts(settings.cleanupMs, env.now);
  const answers = dialsByName(binding) ? new RecentAnswers(env) : undefined;
  return {
    choose({ downstream, target }, later) {
      if (!downstream?.localAddressRestored) return NO_HOST;
      const { ip, port } = downstream.localAddress;
      if (isAnyAddress(ip)) return NO_HOST;
      const refusal = reach && addressRefusal(reach, parseIp(ip)!);
      if (refusal !== undefined) return { kind: 'dns', reason: refusal };
      const host = () => made.at({ ip, port: settings.portOverride ?? port }, '');
      if (!answers) return host();
      const name = nameDialled(binding!, [target?.ip, downstream.serverName, downstream.asked]);
      if (name === undefined) return { kind: 'dns', reason: `nothing says which of ${binding!.hosts.join(', ')} ${ip} is` };
      void answers.leadTo(name, ip).then((leads) => later(leads ? host() : { kind: 'dns', reason: `${ip} is no address of ${name}` }));
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

export interface ForwardProxyOptions {
  readonly family: ClusterSettings['lookupFamily'];
  /** Where a call that names no port goes. */
  readonly defaultPort: number;
  /** Undefined for everything. */
  readonly reach: Reach | undefined;
  /** How long an address is kept without use. */
  readonly hostTtlMs: number;
}

/** Dynamic forward proxy: the host that the request (or the SNI) names, resolved when it is asked for. */
export function dynamicForwardProxy({ family, defaultPort, reach, hostTtlMs }: ForwardProxyOptions, env: Environment): Discovery {
  const made = new OnDemandHosts(hostTtlMs, env.now);
  const known = new Map<string, string>();
  return {
    choose({ target }, later) {
      if (!target) return NO_HOST;
      const port = target.port || defaultPort;
      const closed = reach && portRefusal(reach, port);
      if (closed !== undefined) return { kind: 'dns', reason: closed };
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
        const refusal = reach && addressRefusal(reach, parseIp(ip)!);
        later(refusal !== undefined ? { kind: 'dns', reason: refusal } : made.at({ ip, port }, name));
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
