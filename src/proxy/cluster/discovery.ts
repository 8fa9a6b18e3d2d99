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

/** Hosts of one cluster that are kept though no request or TCP connection uses them. */
const MOST_IDLE = 1024;

interface Keeping {
  /** For so long without use, ms. */
  readonly ms: number;
  /** Also for as long as connections to it are open that nobody uses. */
  readonly whileConnected: boolean;
}

/** Hosts that are made when they are asked for, and go when they have not been used for a while. What is pooled to one that is gone is closed. */
class OnDemandHosts {
  /** In the order of their last use. */
  readonly #hosts = new Map<string, Host>();
  readonly #keeping: Keeping;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  /** So many bring a look for those that nobody uses. */
  #most = MOST_IDLE;

  constructor(keeping: Keeping, now: () => number) {
    this.#now = now;
    this.#keeping = keeping;
  }

  get hosts(): Iterable<Host> {
    return this.#hosts.values();
  }

  at(address: Address, hostname: string): Host {
    const key = `${addressText(address)} ${hostname}`;
    const known = this.#hosts.get(key);
    if (known) this.#hosts.delete(key);
    else if (this.#hosts.size >= this.#most) this.#makeRoom();
    const host = known ?? new Host({ ...ON_DEMAND, address, hostname });
    this.#hosts.set(key, host);
    host.usedAt = this.#now();
    this.#timer ??= setInterval(() => this.#clean(), this.#keeping.ms).unref();
    return host;
  }

  /** A caller that makes names up is not to fill the memory, nor to use up ports: of those that nobody uses, half go before their time. */
  #makeRoom(): void {
    for (const [key, host] of this.#hosts) {
      if (this.#hosts.size <= MOST_IDLE / 2) break;
      if (host.active === 0) this.#drop(key, host);
    }
    // Where most are in use they are not gone through for each new one.
    this.#most = this.#hosts.size + MOST_IDLE / 2;
  }

  #clean(): void {
    const { ms, whileConnected } = this.#keeping;
    for (const [key, host] of this.#hosts) {
      if (this.#now() - host.usedAt < ms) break;
      if (host.active === 0 && !(whileConnected && host.connections > 0)) this.#drop(key, host);
    }
  }

  #drop(key: string, host: Host): void {
    host.live = false;
    this.#hosts.delete(key);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const [key, host] of this.#hosts) this.#drop(key, host);
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
  const made = new OnDemandHosts({ ms: settings.cleanupMs, whileConnected: true }, env.now);
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
  const made = new OnDemandHosts({ ms: hostTtlMs, whileConnected: false }, env.now);
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
