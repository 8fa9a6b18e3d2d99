/** Mirrored requests (`request_mirror_policies`): sent beside the original, their responses dropped. */
import { shadowAuthority } from '../../http/authority.ts';
import type { HeaderMap } from '../../http/header-map.ts';
import { markMirrored } from '../../http/mirror.ts';
import type { ForwardAction, MirrorPolicy } from '../../http/routes/route.ts';
import { own } from '../net/read-buffer.ts';
import type { Cluster, Downstream, UpstreamFailure, UpstreamHost } from '../types.ts';
import type { ForwardedExchange, PoolClient, UpstreamRequest, UpstreamStream } from './contract.ts';

/** Bodies beyond this are not mirrored. */
const BODY_LIMIT = 1024 * 1024;

export function startMirrors(exchange: ForwardedExchange, { mirrors: policies }: ForwardAction): readonly Mirror[] | undefined {
  const { head } = exchange;
  let mirrors: Mirror[] | undefined;
  for (const policy of policies) {
    if (!policy.applies(head.random) || head.upgrade !== '') continue;
    const name = policy.clusterHeader === undefined ? policy.cluster : head.headers.get(policy.clusterHeader);
    const cluster = name === undefined ? undefined : exchange.core.deps.clusters.get(name);
    if (!cluster) continue;
    mirrors ??= [];
    mirrors.push(new Mirror(exchange, policy, cluster));
  }
  return mirrors;
}

/** Waits for the whole request, then sends it. */
export class Mirror implements PoolClient, UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly headers: HeaderMap;
  readonly upgrade = '';
  readonly downstream: Downstream;
  readonly tunnel = false;
  readonly #exchange: ForwardedExchange;
  readonly #cluster: Cluster;
  #body: Buffer[] = [];
  #bytes = 0;
  #over = false;
  #host: UpstreamHost | undefined;

  constructor(exchange: ForwardedExchange, policy: MirrorPolicy, cluster: Cluster) {
    this.#exchange = exchange;
    this.#cluster = cluster;
    const { head } = exchange;
    this.method = head.method;
    this.path = head.path;
    this.authority = policy.appendShadowSuffix ? shadowAuthority(head.authority) : head.authority;
    this.scheme = head.scheme;
    this.headers = head.headers.clone();
    this.downstream = exchange.downstream;
  }

  requestData(data: Buffer): void {
    if (this.#over) return;
    this.#bytes += data.length;
    if (this.#bytes > BODY_LIMIT) this.abandon();
    else this.#body.push(own(data));
  }

  requestEnd(): void {
    if (this.#over) return;
    const chosen = this.#cluster.choose(this.#exchange, this.#chosen);
    if (chosen) this.#chosen(chosen);
  }

  /** The original was given up before it was whole. */
  abandon(): void {
    this.#over = true;
    this.#body = [];
  }

  readonly #chosen = (choice: UpstreamHost | UpstreamFailure): void => {
    const { requests } = this.#cluster.limits;
    if ('kind' in choice || requests.used >= requests.max) {
      this.abandon();
      return;
    }
    requests.used++;
    choice.active++;
    this.#cluster.stats.upstreamRqTotal++;
    this.#cluster.stats.upstreamRqActive++;
    this.#host = choice;
    const { core, head } = this.#exchange;
    core.deps.pools.pool(this.#cluster, choice, head, core.options.upstreamAlpn).acquire(this);
  };

  poolReady(stream: UpstreamStream): void {
    markMirrored(this.headers, stream.localAddress?.ip);
    stream.sendHead(this, this.#body.length === 0);
    for (const data of this.#body) stream.sendData(data);
    if (this.#body.length > 0) stream.sendEnd(undefined);
    this.#body = [];
    stream.flush();
  }

  poolFailed(): void {
    this.#finish();
  }

  upstreamInformational(): void {
    // Nobody waits for it.
  }

  upstreamHead(_status: number, _headers: HeaderMap, end: boolean): void {
    if (end) this.#finish();
  }

  upstreamData(): void {
    // Dropped.
  }

  upstreamEnd(): void {
    this.#finish();
  }

  upstreamFlush(): void {
    // Nothing is written anywhere.
  }

  upstreamDrained(): void {
    // The body was handed over whole.
  }

  upstreamReset(): void {
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    if (!this.#host) return;
    this.#cluster.limits.requests.used--;
    this.#cluster.stats.upstreamRqActive--;
    this.#host.active--;
  }
}
