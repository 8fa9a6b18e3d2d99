/** `proxy --xds`: one data plane, kept at what a control plane elsewhere says over xDS. */
import { fromJson } from '@bufbuild/protobuf';
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Engine, EngineHost, Refusal } from '../engine/contract.ts';
import { startEngine } from '../engine/starter.ts';
import type { SallyportError } from '../lib/errors.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { AdsClient, type ReceivedSet } from '../xds/ads/client.ts';
import { Connection, type ConnectionEvent, type ReconnectTimes } from '../xds/ads/connection.ts';
import type { Protocol } from '../xds/ads/subscription.ts';
import { SetCache } from '../xds/cache.ts';
import { NodeSchema } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { nodeJson } from '../xds/node.ts';

export interface RemoteOptions {
  readonly identity: ProxyIdentity;
  /** The control plane. */
  readonly target: SocketAddress;
  readonly protocol: Protocol;
  /** Asked for each connection. */
  readonly credentials: () => ChannelCredentials;
  readonly admin: SocketAddress;
  /** Worker threads; 0 for as many as the machine has cores. */
  readonly concurrency: number;
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
  /** The start waits for this. */
  | { readonly kind: 'waiting'; readonly missing: Missing }
  /** No answer came for these names: what refers to them comes into force without them. */
  | { readonly kind: 'gave-up'; readonly missing: Missing }
  /** All that the control plane says is in force for the first time, but for what was refused. */
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

/** There is one proxy. */
const KEY = 'proxy';

/** Resolves when it has begun to connect; what becomes of it is told. */
export async function startRemoteProxy(
  options: RemoteOptions,
  host: EngineHost & { readonly tell: (event: RemoteEvent) => void },
): Promise<RemoteProxy> {
  const { identity, target, protocol, credentials, admin, concurrency, times = TIMES } = options;
  const { tell } = host;
  let whole = false;
  let begun = false;
  const engineOptions = { engine: 'embedded', envoy: undefined, concurrency, logLevel: '' } as const;
  const engine: Engine = await startEngine(engineOptions, host, { identity, admin, whole: () => whole });
  const cache = new SetCache<ReceivedSet, Refusal>();
  const client = new AdsClient({
    protocol,
    node: fromJson(NodeSchema, nodeJson({ ...identity, countsBy: 'embedded' })),
    publish: (publication) => cache.publish(KEY, publication),
    unreadable: (error) => tell({ kind: 'unreadable', error }),
  });
  const patience = new Patience(client, times, tell);
  const watch = cache.watch(KEY, engine, (answer) => {
    client.acknowledged(answer);
    patience.look();
    if (answer.kind === 'failed') {
      tell({ kind: 'failed', error: answer.error, first: !begun });
      return;
    }
    begun = true;
    tell({ kind: 'in-force', refused: answer.refused });
    if (whole || !answer.publication.whole) return;
    whole = true;
    patience.started();
    tell({ kind: 'ready' });
  });
  const connection = new Connection({
    target,
    protocol,
    credentials,
    tell,
    ...(times.reconnect ? { times: times.reconnect } : {}),
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
      watch.close();
      await engine.close(graceMs);
    },
  };
}

/** Says what the start waits for, and ends the waiting for names that nobody answers. */
class Patience {
  readonly #client: AdsClient;
  readonly #times: RemoteTimes;
  readonly #tell: (event: RemoteEvent) => void;
  readonly #start: NodeJS.Timeout;
  #names: NodeJS.Timeout | undefined;

  constructor(client: AdsClient, times: RemoteTimes, tell: (event: RemoteEvent) => void) {
    this.#client = client;
    this.#times = times;
    this.#tell = tell;
    this.#start = setTimeout(() => tell({ kind: 'waiting', missing: client.missing }), times.sayMs);
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
