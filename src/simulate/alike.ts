/**
 * Calls that can't end otherwise on the other side of a comparison, told without making them: the filter chain, virtual host and clusters that decide are the very same
 * objects on both sides, and nothing differs at the proxies behind these that the call could meet. What is made of the same resources is the same object (`lib/memo.ts`);
 * what is not, or leads to where nobody can tell, is taken to differ. Pure.
 */

import { HeaderMap } from '../http/header-map.ts';
import type { CompiledVirtualHost, RouteTable } from '../http/routes/route.ts';
import type { FilterChain } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import type { VirtualHost } from '../xds/gen/envoy/config/route/v3/route_components_pb.js';
import type { Call, Endpoint } from './call.ts';
import { type LeftOut, routeTables, sampleHost } from './cells.ts';
import { clustersOfChain, clustersOfHost, framesAlike, hostsRewritten } from './decided-by.ts';
import { arrivalAt } from './hop.ts';
import type { SimulatedProxy } from './proxy.ts';
import { type Asked, type Regions, touches } from './regions.ts';

/** Which cells of a workload need no call. */
export class Alike implements LeftOut {
  readonly #own: SimulatedProxy;
  readonly #other: SimulatedProxy;
  readonly #regions: Regions;
  readonly #hosts = new Map<VirtualHost, boolean>();

  /** @param regions what differs at other proxies */
  constructor(own: SimulatedProxy, other: SimulatedProxy, regions: Regions) {
    this.#own = own;
    this.#other = other;
    this.#regions = regions;
  }

  destination(destination: Endpoint, chains: readonly FilterChain[]): boolean {
    const [own, other] = [this.#own, this.#other].map((proxy) => proxy.listeners.match(destination.ip, destination.port));
    if (!own || own !== other) return false;
    return chains.every((chain) => {
      const clusters = clustersOfChain(this.#own, chain);
      return clusters === 'http' || (clusters !== 'unknown' && clusters.every((name) => this.#leadsAlike(name, { kind: 'bytes' })));
    });
  }

  /** Whether a call that is no HTTP ends alike, also for the names that it stands for. */
  transport(call: Call, patterns: readonly string[]): boolean {
    const chain = this.#sameChain(call);
    if (!chain) return false;
    const clusters = clustersOfChain(this.#own, chain);
    if (clusters === 'http') return true;
    if (clusters === 'unknown') return false;
    const { tls } = call.payload;
    const asked: Asked = tls ? { kind: 'tls', names: [tls.serverName, ...patterns] } : { kind: 'bytes' };
    return clusters.every((name) => this.#leadsAlike(name, asked));
  }

  /** Tells of virtual hosts of a table whether all requests to them end alike that are made to the destination. */
  virtualHosts(source: Endpoint, destination: Endpoint, table: RouteTable): (host: CompiledVirtualHost) => boolean {
    const chain = this.#sameChain({ source, destination, payload: { tls: undefined, http: SOME_REQUEST } });
    if (!chain) return () => false;
    const [own, other] = [this.#own, this.#other].map((proxy) => [...routeTables(proxy, [chain])]);
    const there = other![own!.indexOf(table)];
    if (!there || own!.length !== other!.length) return () => false;
    const [a, b] = [this.#own.routeConfig(table.name), this.#other.routeConfig(there.name)];
    // Those that stand in their chain are its own.
    if (a === b) return (host) => this.#hostAlike(host.config);
    if (!a || !b || !framesAlike(a, b)) return () => false;
    const isTaken = (domain: string, host: CompiledVirtualHost) => {
      const name = sampleHost(domain);
      return table.virtualHost(name) === host && there.virtualHost(name)?.config === host.config;
    };
    return (host) => host.config.domains.every((domain) => isTaken(domain, host)) && this.#hostAlike(host.config);
  }

  /** The chain that takes the call on both sides; undefined where that is not the same. */
  #sameChain(call: Call) {
    const [own, other] = [this.#own, this.#other].map((proxy) => {
      const entry = proxy.listenerNamed('virtualOutbound');
      return entry && arrivalAt(proxy, entry, call);
    });
    if (!own?.chain || own.chain.config !== other?.chain?.config) return undefined;
    return framesAlike(own.listener, other.listener) ? own.chain.config : undefined;
  }

  #hostAlike(config: VirtualHost): boolean {
    let alike = this.#hosts.get(config);
    if (alike === undefined) {
      const clusters = clustersOfHost(config);
      const asked: Asked = hostsRewritten(config) ? { kind: 'any request' } : { kind: 'http', names: config.domains };
      alike = clusters !== 'unknown' && clusters.every((name) => this.#leadsAlike(name, asked));
      this.#hosts.set(config, alike);
    }
    return alike;
  }

  #leadsAlike(cluster: string, asked: Asked): boolean {
    return !touches(this.#regions.behind(this.#own, this.#other, cluster), asked);
  }
}

const SOME_REQUEST = {
  method: 'GET',
  authority: 'undeclared.invalid',
  path: '/',
  version: '1.1',
  headers: new HeaderMap(),
} as const;
