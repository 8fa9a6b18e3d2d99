/**
 * The calls of the proxies that are connected, as they tell of them while somebody watches (`docs/decisions/flows-in-a-cluster.md`). Who tells is whoever has
 * its configuration over the same connection: a proxy tells of itself alone.
 */
import { Bucket, type Rate } from '../../flows/bucket.ts';
import { type FlowDelivery, type FlowSource, MOST_RECENT, type ProxyFlow } from '../../flows/flow.ts';
import { FlowHub, proxyName } from '../../flows/hub.ts';
import { askedBytes, type FlowsAsked, MOST_TOLD_BYTES, toldIn } from '../../flows/remote/messages.ts';
import { messageOf } from '../../lib/errors.ts';
import { type Call, type CallListener, type Handler, type Peer, refused } from '../../lib/grpc/server.ts';
import { STATUS } from '../../lib/grpc/status.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import { SPIFFE } from '../../lib/spiffe.ts';
import { statusOf } from '../../xds/ads/server.ts';
import { Recent } from './recent-flows.ts';

export interface FlowServiceOptions {
  /** The SPIFFE ID of whoever calls. Rejects with `xds-unauthenticated`, `xds-too-much` or `xds-unavailable`. */
  readonly identify: (peer: Peer) => Promise<string>;
  /** The proxy that has its configuration over the connection from `peer`. */
  readonly proxyAt: (peer: string, proven: string) => ProxyIdentity | undefined;
  /** The gateway at an address, `namespace/name`. */
  readonly gatewayAt: (ip: string) => string | undefined;
  /** Another proxy tells, or one does no more. */
  readonly changed: () => void;
}

/** Of all proxies together, calls a second that went well, and as many that did not; and calls from before. */
const MOST_A_SECOND = 2_000;
const MOST_BEFORE = 10_000;
/** Of one proxy, calls a second. */
const SHARE = { least: 2, most: 200 };
/** What one proxy may tell: more than those do that heed what they are asked. */
const TAKEN: Rate = { aSecond: 4 * SHARE.most, atOnce: 10 * SHARE.most };

export class FlowService {
  readonly hub: FlowHub;
  readonly #options: FlowServiceOptions;
  readonly #telling = new Map<string, Telling>();
  /** As it was asked for. */
  #share = SHARE.most;

  constructor(options: FlowServiceOptions) {
    this.#options = options;
    this.hub = new FlowHub({ gatewayAt: options.gatewayAt });
  }

  /** The proxies that tell of their calls, `namespace/name`. */
  get telling(): ReadonlySet<string> {
    return new Set([...this.#telling.values()].map(({ name }) => name));
  }

  /** For `TELL_FLOWS`. */
  readonly serve: Handler = async (call) => {
    const { peer } = call;
    let proven: string;
    try {
      proven = await this.#options.identify(peer);
    } catch (error) {
      return refused(call, statusOf(error), messageOf(error));
    }
    const proxy = this.#options.proxyAt(peer.address, proven);
    if (!proxy || this.#telling.has(peer.address))
      return refused(
        call,
        STATUS.failedPrecondition,
        'a proxy tells of its calls once, over the connection on which it has its configuration',
      );
    return this.#listen(call, proxy, () => this.#options.proxyAt(peer.address, proven)?.name === proxy.name);
  };

  #listen(call: Call, proxy: ProxyIdentity, isStillIt: () => boolean): CallListener {
    const { address } = call.peer;
    const telling = new Telling(proxy, {
      ask: (asked) => call.write(askedBytes(asked)),
      share: () => this.#share,
      recent: () => Math.max(SHARE.least, Math.min(MOST_RECENT, Math.floor(MOST_BEFORE / this.#telling.size))),
    });
    call.begin();
    this.#telling.set(address, telling);
    this.#shareOut();
    const leave = this.hub.register(proxy, telling);
    this.#options.changed();
    return {
      message: (bytes) => {
        if (!isStillIt()) return call.end(STATUS.failedPrecondition, 'the stream of the configuration has ended');
        const problem = telling.take(bytes);
        if (problem !== undefined) call.end(STATUS.invalidArgument, problem);
      },
      halfClosed: () => call.end(STATUS.ok),
      closed: () => {
        this.#telling.delete(address);
        telling.close();
        leave();
        this.#shareOut();
        this.#options.changed();
      },
    };
  }

  /** Proxies are told anew only of a share that is half or twice what it was: else each that comes would have all others told. */
  #shareOut(): void {
    const share = Math.max(SHARE.least, Math.min(SHARE.most, Math.floor(MOST_A_SECOND / Math.max(1, this.#telling.size))));
    if (share > this.#share / 2 && share < this.#share * 2) return;
    this.#share = share;
    for (const telling of this.#telling.values()) telling.renew();
  }
}

interface TellingOptions {
  readonly ask: (asked: FlowsAsked) => void;
  /** Calls a second of each kind. */
  readonly share: () => number;
  /** Calls from before. */
  readonly recent: () => number;
}

/** One proxy that tells. */
class Telling implements FlowSource {
  readonly name: string;
  /** Who calls where no certificate says it: at a sidecar its workload. */
  readonly #caller: string | undefined;
  readonly #options: TellingOptions;
  #deliver: FlowDelivery | undefined;
  #dropped: (count: number) => void = () => {};
  readonly #recent: Recent<ProxyFlow>;
  #taken = new Bucket(TAKEN, performance.now());

  constructor(proxy: ProxyIdentity, options: TellingOptions) {
    this.name = proxyName(proxy);
    this.#caller = proxy.type === 'sidecar' ? this.name : undefined;
    this.#options = options;
    this.#recent = new Recent(() => options.ask({ recent: options.recent() }));
  }

  async watchFlows(deliver: FlowDelivery | undefined, dropped: (count: number) => void): Promise<void> {
    const isNew = (deliver === undefined) !== (this.#deliver === undefined);
    this.#deliver = deliver;
    this.#dropped = dropped;
    if (isNew) this.#options.ask({ watch: deliver ? this.#options.share() : 0 });
  }

  /** The share is another. */
  renew(): void {
    if (this.#deliver) this.#options.ask({ watch: this.#options.share() });
  }

  recentFlows(): Promise<readonly ProxyFlow[]> {
    return this.#recent.asked();
  }

  /** A message of the proxy. Returns what is wrong with it. */
  take(bytes: Uint8Array): string | undefined {
    if (bytes.length > MOST_TOLD_BYTES) return `the message is longer than ${MOST_TOLD_BYTES} bytes`;
    try {
      const { flows, dropped, recent } = toldIn(bytes);
      if (recent) {
        this.#recent.came(flows.map(this.#called));
        return undefined;
      }
      for (const flow of flows) {
        if (!this.#taken.takes(performance.now())) return 'this is far more than was asked for';
        this.#deliver?.(this.#called(flow));
      }
      if (dropped > 0) this.#dropped(dropped);
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  }

  readonly #called = ({ workload, ...flow }: ProxyFlow): ProxyFlow => {
    const caller = workload?.startsWith(SPIFFE) ? workload : this.#caller;
    return { ...flow, ...(caller !== undefined && { workload: caller }) };
  };

  close(): void {
    this.#recent.came([]);
  }
}
