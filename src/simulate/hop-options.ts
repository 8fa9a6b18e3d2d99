/** How a call is followed through a proxy, and what is told of it on the way. */
import type { CompiledRoute, CompiledVirtualHost, RouteTable } from '../http/routes/route.ts';
import type { FilterChain } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import type { Listener } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { CompiledFilterChain } from '../xds/match/filter-chain.ts';
import type { Call } from './call.ts';
import type { UpstreamHost } from './cluster.ts';
import type { SimulatedProxy } from './proxy.ts';
import type { Recorder } from './recorder.ts';

export interface HopOptions {
  /** Chooses among weighted clusters: an index whose weight is not 0. */
  readonly weigh: (weights: readonly number[]) => number;
  /** Chooses among the hosts of a cluster. */
  readonly pick: (hosts: readonly UpstreamHost[]) => UpstreamHost;
  /** Whether to go on with the request (0) or with one of its copies (from 1 on), of so many in all; without it with the request. */
  readonly follow?: (ways: number) => number;
  /**
   * The call stands for others, and simulation does not know all that counts for them: what this product refuses, other products do; a secret that the files
   * lack may be in the cluster; the answer of a filter to this call is not its answer to all; other callers have other addresses. Such calls are undecided, or
   * go on as if nothing were in the way.
   */
  readonly representative?: boolean;
  /** When the call is made, ms since the epoch: tokens expire. Undefined: none has. */
  readonly now?: number;
  /** Whether to state what else applies to the call: timeouts, retries, limits, faults. */
  readonly policies?: boolean;
  /** Told what each proxy decides by; more than once for a hop. */
  readonly observe?: (arrived: Arrived) => void;
}

/** A call at a proxy, and how far the proxy got with it. */
export interface Arrived {
  readonly proxy: SimulatedProxy;
  readonly listener: Listener;
  /** Undefined: none takes the call. */
  readonly chain: FilterChain | undefined;
  /** As it came to the proxy. */
  readonly call: Call;
  readonly table: RouteTable | undefined;
  readonly virtualHost: CompiledVirtualHost | undefined;
  readonly route: CompiledRoute | undefined;
}

/** What the parts of a hop work with, once its filter chain is found. */
export interface HopContext {
  readonly proxy: SimulatedProxy;
  readonly listener: Listener;
  readonly chain: CompiledFilterChain;
  /** Without the TLS that ends at the chain. */
  readonly call: Call;
  /** Of TLS that ends at the chain, or that the listener looks into before it is passed on; empty without. */
  readonly serverName: string;
  /** Undefined: the chain ends no TLS. `possible`: the client shows a certificate if it has one. `identity`: of the mesh, in it. */
  readonly terminated: { readonly certificate: 'shown' | 'possible' | 'none'; readonly identity: string | undefined } | undefined;
  readonly options: HopOptions;
  readonly recorder: Recorder;
  readonly observe: (decided: Partial<Arrived>) => void;
}
