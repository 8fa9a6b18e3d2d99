/** All upstream HTTP connections of a thread: a pool for each host, protocol and, where the TLS name follows the authority, authority. */

import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { keepsOwnAlpn, type UpstreamAlpn } from '../../../http/upstream-alpn.ts';
import { HttpProtocolOptionsSchema } from '../../../xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
import type { Cluster, ClusterManager, UpstreamHost } from '../../types.ts';
import type { PoolRequest, Pools } from '../contract.ts';
import { Turns } from '../h2/turns.ts';
import { Timers } from '../timers.ts';
import { HttpPool, type PoolProtocol } from './pool.ts';

const PROTOCOL_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
/** How often pools are looked at whose host or cluster may be gone. */
const SWEEP_MS = 500;

interface HostPools {
  readonly cluster: Cluster;
  /** The only pool of nearly every host. */
  single: HttpPool | undefined;
  more: Map<string, HttpPool> | undefined;
}

export class HttpPools implements Pools {
  readonly timers: Timers;
  readonly turns = new Turns(setImmediate);
  readonly #clusters: ClusterManager;
  readonly #byHost = new WeakMap<UpstreamHost, HostPools>();
  readonly #perAuthority = new WeakMap<Cluster, boolean>();
  readonly #all = new Set<HttpPool>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(clusters: ClusterManager, now: () => number) {
    this.#clusters = clusters;
    this.timers = new Timers(now);
  }

  /** The pool that serves a request to a host. @param alpn of the connection manager */
  pool(cluster: Cluster, host: UpstreamHost, request: PoolRequest, alpn?: UpstreamAlpn): HttpPool {
    let pools = this.#byHost.get(host);
    if (!pools || pools.cluster !== cluster) {
      pools = { cluster, single: undefined, more: undefined };
      this.#byHost.set(host, pools);
    }
    const { protocol } = cluster;
    if ((protocol === 'http1' || protocol === 'http2') && !alpn && !this.#followsAuthority(cluster)) {
      pools.single ??= this.#create(cluster, host, protocol);
      return pools.single;
    }
    const chosen = chosenProtocol(protocol, request);
    const offered = alpn && offeredFor(chosen, cluster, alpn);
    const named = this.#followsAuthority(cluster) ? `${chosen} ${request.authority.toLowerCase()}` : chosen;
    const key = offered ? `${named} ${offered.join()}` : named;
    pools.more ??= new Map();
    let pool = pools.more.get(key);
    if (!pool) {
      pool = this.#create(cluster, host, chosen, offered);
      pools.more.set(key, pool);
    }
    return pool;
  }

  /** Closes everything that is idle and lets the rest end; new requests make new pools. */
  drain(): void {
    for (const pool of this.#all) pool.drain();
  }

  /** For the end of the thread: drains, and looks after nothing more. */
  close(): void {
    this.drain();
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  #create(cluster: Cluster, host: UpstreamHost, protocol: PoolProtocol, alpn?: readonly string[]): HttpPool {
    const pool = new HttpPool({ cluster, host, protocol, alpn }, this.timers, (empty) => this.#forget(empty));
    this.#all.add(pool);
    this.#sweep ??= setInterval(() => this.#sweepGone(), SWEEP_MS).unref();
    return pool;
  }

  #forget(pool: HttpPool): void {
    this.#all.delete(pool);
    const pools = this.#byHost.get(pool.host);
    if (pools?.single === pool) pools.single = undefined;
    if (pools?.more) for (const [key, value] of pools.more) if (value === pool) pools.more.delete(key);
    if (this.#all.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  #sweepGone(): void {
    for (const pool of this.#all) {
      if (!pool.host.live || this.#clusters.get(pool.cluster.name) !== pool.cluster) pool.drain();
    }
  }

  #followsAuthority(cluster: Cluster): boolean {
    let follows = this.#perAuthority.get(cluster);
    if (follows === undefined) {
      const any = cluster.config.typedExtensionProtocolOptions[PROTOCOL_OPTIONS];
      const options = any && anyUnpack(any, HttpProtocolOptionsSchema)?.upstreamHttpProtocolOptions;
      follows = (options?.autoSni ?? false) || (options?.autoSanValidation ?? false);
      this.#perAuthority.set(cluster, follows);
    }
    return follows;
  }
}

/** `now`: milliseconds that only grow. One for all connection managers of a thread. */
export function createHttpPools(clusters: ClusterManager, now: () => number): HttpPools {
  return new HttpPools(clusters, now);
}

/** Undefined where the cluster's own counts. */
function offeredFor(protocol: PoolProtocol, { config }: Cluster, { http1, http2 }: UpstreamAlpn): readonly string[] | undefined {
  if (protocol === 'alpn' || keepsOwnAlpn(config)) return undefined;
  const offered = protocol === 'http2' ? http2 : http1;
  return offered.length > 0 ? offered : undefined;
}

function chosenProtocol(protocol: Cluster['protocol'], { protocol: asked, upgrade = '' }: PoolRequest): PoolProtocol {
  const isMultiplexed = asked === 'HTTP/2' || asked === 'HTTP/3';
  if (protocol === 'downstream') return isMultiplexed ? 'http2' : 'http1';
  // Few servers take an upgrade in HTTP/2 (RFC 8441), and whoever asks in HTTP/1.1 knows that this one takes it there.
  return protocol === 'alpn' && upgrade !== '' && !isMultiplexed ? 'http1' : protocol;
}
