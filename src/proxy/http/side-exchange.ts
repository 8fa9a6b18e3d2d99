/** Makes a call that a filter asks for beside the request that it holds, over the cluster's own connections. */

import { HeaderMap } from '../../http/header-map.ts';
import { markMirrored } from '../../http/mirror.ts';
import type { SideAnswer, SideCall } from '../../http/side-call.ts';
import { own } from '../net/read-buffer.ts';
import type { Cluster, ClusterManager, UpstreamFailure, UpstreamHost } from '../types.ts';
import type { Pool, PoolClient, Pools, UpstreamRequest, UpstreamStream } from './contract.ts';
import { TimerEntry } from './timers.ts';

/** An answer that is larger is none. */
const MOST_BYTES = 1024 * 1024;

export interface SideDeps {
  readonly clusters: ClusterManager;
  readonly pools: Pools;
}

export class SideExchange implements PoolClient, UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly headers: HeaderMap;
  readonly upgrade = '';
  readonly downstream = undefined;
  readonly tunnel = false;
  readonly #deps: SideDeps;
  readonly #call: SideCall;
  readonly #done: (answer: SideAnswer | undefined) => void;
  readonly #timer: TimerEntry;
  #over = false;
  #cluster: Cluster | undefined;
  #host: UpstreamHost | undefined;
  #pool: Pool | undefined;
  #stream: UpstreamStream | undefined;
  #status = 0;
  #answerHeaders = new HeaderMap();
  #body: Buffer[] = [];
  #bytes = 0;

  /** `done` is called once, possibly within `start`, unless it is abandoned before. */
  constructor(deps: SideDeps, call: SideCall, done: (answer: SideAnswer | undefined) => void) {
    this.#deps = deps;
    this.#call = call;
    this.#done = done;
    ({ method: this.method, path: this.path, authority: this.authority, scheme: this.scheme, headers: this.headers } = call);
    this.#timer = new TimerEntry(() => this.#fail());
  }

  start(): void {
    const { clusters, pools } = this.#deps;
    const { cluster: name, timeoutMs } = this.#call;
    const cluster = clusters.get(name);
    if (!cluster) {
      this.#fail();
      return;
    }
    this.#cluster = cluster;
    if (timeoutMs > 0) pools.timers.arm(this.#timer, timeoutMs);
    const chosen = cluster.choose({ downstream: undefined, target: undefined, hash: undefined }, this.#chosen);
    if (chosen) this.#chosen(chosen);
  }

  /** Nobody waits for it any more. */
  abandon(): void {
    if (!this.#over) this.#end();
  }

  readonly #chosen = (choice: UpstreamHost | UpstreamFailure): void => {
    if (this.#over) return;
    if ('kind' in choice) {
      this.#fail();
      return;
    }
    const cluster = this.#cluster!;
    const { requests } = cluster.limits;
    if (requests.used >= requests.max) {
      cluster.stats.upstreamRqPendingOverflow++;
      this.#fail();
      return;
    }
    requests.used++;
    choice.active++;
    cluster.stats.upstreamRqTotal++;
    cluster.stats.upstreamRqActive++;
    this.#host = choice;
    this.#pool = this.#deps.pools.pool(cluster, choice, { authority: this.authority, protocol: 'HTTP/1.1' });
    this.#pool.acquire(this);
  };

  poolReady(stream: UpstreamStream): void {
    this.#pool = undefined;
    this.#stream = stream;
    const { body, leaves } = this.#call;
    if (!leaves) markMirrored(this.headers, stream.localAddress?.ip);
    stream.sendHead(this, body.length === 0);
    if (body.length > 0) {
      stream.sendData(body);
      stream.sendEnd(undefined);
    }
    stream.flush();
  }

  poolFailed(): void {
    this.#pool = undefined;
    this.#fail();
  }

  upstreamInformational(): void {
    // Not the answer.
  }

  upstreamHead(status: number, headers: HeaderMap, end: boolean): void {
    this.#status = status;
    this.#answerHeaders = headers;
    if (end) this.#finish(undefined);
  }

  upstreamData(data: Buffer): void {
    if (this.#over) return;
    this.#bytes += data.length;
    if (this.#bytes > MOST_BYTES) this.#fail();
    else this.#body.push(own(data));
  }

  upstreamEnd(trailers: HeaderMap | undefined): void {
    this.#finish(trailers);
  }

  upstreamFlush(): void {
    // The answer is taken whole.
  }

  upstreamDrained(): void {
    // The body was handed over whole.
  }

  upstreamReset(): void {
    this.#stream = undefined;
    this.#fail();
  }

  #finish(trailers: HeaderMap | undefined): void {
    if (this.#over) return;
    this.#stream = undefined;
    const answer = { status: this.#status, headers: this.#answerHeaders, body: Buffer.concat(this.#body), trailers };
    this.#end();
    this.#done(answer);
  }

  #fail(): void {
    if (this.#over) return;
    this.#end();
    this.#done(undefined);
  }

  #end(): void {
    this.#over = true;
    this.#deps.pools.timers.disarm(this.#timer);
    this.#pool?.cancel(this);
    this.#stream?.reset();
    this.#stream = undefined;
    if (!this.#host) return;
    const cluster = this.#cluster!;
    cluster.limits.requests.used--;
    cluster.stats.upstreamRqActive--;
    this.#host.active--;
  }
}
