/** `proxy --xds`: one data plane, kept at what a control plane elsewhere says over xDS. */
import { fromJson } from '@bufbuild/protobuf';
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Engine, EngineHost, Refusal } from '../engine/contract.ts';
import { startEngine } from '../engine/starter.ts';
import { tellFlows } from '../flows/remote/telling.ts';
import type { SallyportError } from '../lib/errors.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { AdsClient, type ReceivedSet } from '../xds/ads/client.ts';
import { Connection, type ConnectionEvent, type ReconnectTimes } from '../xds/ads/connection.ts';
import type { Protocol } from '../xds/ads/subscription.ts';
import { type Publication, SetCache } from '../xds/cache.ts';
import { NodeSchema } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { WORKLOAD_SECRET } from '../xds/names.ts';
import { nodeJson } from '../xds/node.ts';
import { type KeptSet, laidOver, SetKeeper } from './kept-set.ts';
import { OwnSecrets, type OwnSecretsEvent, type WorkloadIdentity } from './own-secrets.ts';

export interface RemoteOptions {
  readonly identity: ProxyIdentity;
  /** The control plane. */
  readonly target: SocketAddress;
  readonly protocol: Protocol;
  /** Asked for each connection. */
  readonly credentials: () => ChannelCredentials;
  /** For what the control plane leaves to the proxy; undefined: what needs an identity is closed then. */
  readonly workload?: WorkloadIdentity | undefined;
  readonly admin: SocketAddress;
  /** Where the workload's questions for names are answered, as `DnsServerOptions.address`; undefined for nowhere. */
  readonly dns?: SocketAddress | undefined;
  /** Worker threads; 0 for as many as the machine has cores. */
  readonly concurrency: number;
  /** Folder in which the last good configuration is kept, for a start without the control plane; undefined for nowhere. */
  readonly keep?: string | undefined;
  readonly times?: RemoteTimes;
}

export interface RemoteTimes {
  readonly reconnect?: ReconnectTimes;
  /** After so long it is said what the start waits for, ms. */
  readonly sayMs: number;
  /** So long names are waited for to which no answer comes, ms: Envoy's initial_fetch_timeout. */
  readonly namesMs: number;
}

const TIMES: RemoteTimes = { sayMs: 5000, namesMs: 15_000 };

export type Missing = AdsClient['missing'];

export type RemoteEvent =
  | ConnectionEvent
  | OwnSecretsEvent
  /** The start waits for this. */
  | { readonly kind: 'waiting'; readonly missing: Missing }
  /** No answer came for these names: what refers to them comes into force without them. */
  | { readonly kind: 'gave-up'; readonly missing: Missing }
  /** The control plane cannot be had, and what was kept of it is in force since; `at` is when it was, ms since the epoch. */
  | { readonly kind: 'stale'; readonly at: number }
  /** Nothing can be kept, or what was kept cannot be used. */
  | { readonly kind: 'not-kept'; readonly error: unknown }
  /**
   * All that the control plane says came, but of its first configuration these listeners and clusters are refused: the rest is in force. Told with each
   * change until the control plane takes them back or mends them.
   */
  | { readonly kind: 'not-ready'; readonly refused: readonly Refusal[] }
  /** All that the control plane says is in force for the first time, but for what was refused and is neither listener nor cluster. */
  | { readonly kind: 'ready' }
  /** What came is in force but for what was refused: of the first configuration a part at a time. */
  | { readonly kind: 'in-force'; readonly refused: readonly Refusal[] }
  /** A response was refused as a whole. */
  | { readonly kind: 'unreadable'; readonly error: SallyportError }
  /** What came could not be brought into force; unless it was the first, it is tried again. */
  | { readonly kind: 'failed'; readonly error: unknown; readonly first: boolean };

export interface RemoteProxy {
  /** Connects anew, with certificates as they are now. */
  reload(): Promise<void>;
  reopenLogs(): Promise<void>;
  /** Leaves the control plane and ends the proxy; running requests may finish for so many ms. */
  close(graceMs: number): Promise<void>;
}

/** What is to be in force, and what of it the control plane has to be answered for. */
interface Published extends Publication {
  readonly received: ReceivedSet | undefined;
}

/** There is one proxy. */
const KEY = 'proxy';

/** Resolves when it has begun to connect; what becomes of it is told. */
export async function startRemoteProxy(
  options: RemoteOptions,
  host: EngineHost & { readonly tell: (event: RemoteEvent) => void },
): Promise<RemoteProxy> {
  const { identity, target, protocol, credentials, admin, dns, concurrency, times = TIMES } = options;
  const answersDns = dns !== undefined;
  const { tell, flows } = host;
  let whole = false;
  let ready = false;
  let begun = false;
  let stale = false;
  const engineOptions = { engine: 'embedded', envoy: undefined, concurrency, logLevel: '' } as const;
  const engine: Engine = await startEngine(engineOptions, host, { identity, admin, dns, whole: () => whole || stale });
  const cache = new SetCache<Published, Refusal>();
  const keeper = options.keep === undefined ? undefined : new SetKeeper(options.keep, nodeJson(identity).id);
  /** What is in force until all has come from the control plane. */
  let kept: KeptSet | undefined;
  const startWithKept = () => {
    if (!keeper || kept || whole) return;
    try {
      kept = keeper.read();
      // What has come meanwhile is newer.
      if (kept) put({ ...(received ? laidOver(kept.publication, received) : kept.publication), received }, true);
    } catch (error) {
      tell({ kind: 'not-kept', error });
    }
  };
  let received: ReceivedSet | undefined;
  let newest: Published | undefined;
  const own = new OwnSecrets({ identity: options.workload, tell, changed: () => newest && put(newest) });
  /** @param partly also while the workload's identity has not come: what needs it is closed then */
  const put = (next: Published, partly = false) => {
    newest = next;
    const published = own.over(next);
    if (partly || stale || !own.awaited) cache.publish(KEY, published);
  };
  const client = new AdsClient({
    protocol,
    answersDns,
    node: fromJson(NodeSchema, nodeJson({ ...identity, countsBy: 'embedded', answersDns })),
    publish: (publication) => {
      received = publication;
      const { set, resources } = kept && !publication.whole ? laidOver(kept.publication, publication) : publication;
      put({ set, resources, received });
    },
    unreadable: (error) => tell({ kind: 'unreadable', error }),
  });
  const keepNow = (publication: Published) => {
    try {
      keeper?.write(publication, Date.now());
    } catch (error) {
      tell({ kind: 'not-kept', error });
    }
  };
  const patience = new Patience(client, times, tell, () => (own.awaited ? [{ type: 'secret', name: WORKLOAD_SECRET }] : []));
  const watch = cache.watch(KEY, engine, (answer) => {
    const { received: publication } = answer.publication;
    if (publication) client.acknowledged({ ...answer, publication });
    patience.look();
    if (answer.kind === 'failed') {
      tell({ kind: 'failed', error: answer.error, first: !begun });
      return;
    }
    begun = true;
    tell({ kind: 'in-force', refused: answer.refused });
    if (!publication?.whole) {
      if (kept && !whole && !stale) tell({ kind: 'stale', at: kept.at });
      stale = kept !== undefined && !whole;
      return;
    }
    if (answer.refused.length === 0) keepNow(answer.publication);
    whole = true;
    patience.started();
    if (ready) return;
    const lacking = answer.refused.filter(isDemanded);
    ready = lacking.length === 0;
    tell(ready ? { kind: 'ready' } : { kind: 'not-ready', refused: lacking });
  });
  const connection = new Connection({
    target,
    protocol,
    credentials,
    tell: (event) => {
      tell(event);
      // Not before: while the control plane can be had, only what it says now is to be in force.
      if (event.kind === 'lost') startWithKept();
    },
    ...(times.reconnect ? { times: times.reconnect } : {}),
    beside: flows && ((grpc) => tellFlows(grpc, flows)),
    client: {
      opened: (write) => client.opened(write),
      lost: () => {
        client.lost();
        patience.pause();
      },
      response: (bytes) => {
        client.response(bytes);
        patience.look();
      },
    },
  });
  return {
    reload: async () => connection.renew(),
    reopenLogs: () => engine.reopenLogs(),
    close: async (graceMs) => {
      patience.end();
      connection.close();
      own.close();
      watch.close();
      await engine.close(graceMs);
    },
  };
}

/**
 * Whether a proxy that never had it lacks a door or a way. Istio's readiness asks for the same: a first CDS and a first LDS that Envoy has not refused
 * (`checkConfigStatus` of pilot-agent's probe). Later refusals leave the last good version in force.
 */
function isDemanded({ key }: Refusal): boolean {
  return key !== undefined && /^(?:listener|cluster)\//.test(key);
}

/** Says what the start waits for, and ends the waiting for names that nobody answers. */
class Patience {
  readonly #client: AdsClient;
  readonly #times: RemoteTimes;
  readonly #tell: (event: RemoteEvent) => void;
  readonly #start: NodeJS.Timeout;
  #names: NodeJS.Timeout | undefined;

  /** @param others what the start waits for beside what the control plane says */
  constructor(client: AdsClient, times: RemoteTimes, tell: (event: RemoteEvent) => void, others: () => Missing) {
    this.#client = client;
    this.#times = times;
    this.#tell = tell;
    this.#start = setTimeout(() => tell({ kind: 'waiting', missing: [...client.missing, ...others()] }), times.sayMs);
  }

  /** What is missing may have changed. */
  look(): void {
    if (!this.#waitsForNames()) this.pause();
    else
      this.#names ??= setTimeout(() => {
        this.#names = undefined;
        this.#tell({ kind: 'gave-up', missing: this.#client.missing.filter(({ name }) => name !== undefined) });
        this.#client.giveUp();
      }, this.#times.namesMs);
  }

  /** Nothing is given up while nobody could answer. */
  pause(): void {
    clearTimeout(this.#names);
    this.#names = undefined;
  }

  started(): void {
    clearTimeout(this.#start);
  }

  end(): void {
    this.pause();
    this.started();
  }

  #waitsForNames(): boolean {
    return this.#client.missing.some(({ name }) => name !== undefined);
  }
}
