/** The calls of proxies that are connected to another controller of the mesh, which is asked for them while somebody watches. */
import { type ChannelCredentials, Client, type ClientDuplexStream, type StatusObject } from '@grpc/grpc-js';
import type { Flow, FlowDelivery, FlowSource } from '../../flows/flow.ts';
import { askedBytes, type FlowsAsked, type ProxyReach, RELAY_FLOWS, relayedIn } from '../../flows/remote/messages.ts';
import { hostPort, type SocketAddress } from '../../lib/socket-address.ts';
import { CHANNEL_OPTIONS } from '../../xds/ads/channel-options.ts';
import { serverNameFor } from '../../xds/ads/client-credentials.ts';
import { Recent } from './recent-flows.ts';

export interface PeerOptions {
  readonly target: SocketAddress;
  /** Asked for each connection: certificates are renewed. */
  readonly credentials: () => ChannelCredentials;
  /** What is asked of it, calls a second of each kind, and of those before. */
  readonly most: { readonly aSecond: number; readonly before: number };
  /** It answers, or no more, or other proxies are connected to it. */
  readonly changed: () => void;
}

/** Before it is tried again, ms; a random time from half of that on. */
const AGAIN_MS = 3_000;

export class PeerFlows implements FlowSource<Flow> {
  readonly #options: PeerOptions;
  #deliver: FlowDelivery<Flow> | undefined;
  #dropped: (count: number, proxy?: string) => void = () => {};
  #client: Client | undefined;
  #call: ClientDuplexStream<Uint8Array, Buffer> | undefined;
  #again: NodeJS.Timeout | undefined;
  #reach: readonly ProxyReach[] | undefined;
  readonly #recent: Recent<Flow>;

  constructor(options: PeerOptions) {
    this.#options = options;
    this.#recent = new Recent(() => this.#ask({ recent: options.most.before }));
  }

  /** The proxies that are connected to it; undefined while it does not say. */
  get reach(): readonly ProxyReach[] | undefined {
    return this.#reach;
  }

  async watchFlows(deliver: FlowDelivery<Flow> | undefined, dropped: (count: number, proxy?: string) => void): Promise<void> {
    this.#deliver = deliver;
    this.#dropped = dropped;
    if (!deliver) this.close();
    else if (!this.#client && !this.#again) this.#open();
  }

  recentFlows(): Promise<readonly Flow[]> {
    return this.#call ? this.#recent.asked() : Promise.resolve([]);
  }

  close(): void {
    clearTimeout(this.#again);
    this.#again = undefined;
    this.#end();
  }

  #open(): void {
    const { target, credentials } = this.#options;
    const { address, port } = target;
    this.#again = undefined;
    let client: Client;
    try {
      const options = { ...CHANNEL_OPTIONS, 'grpc.ssl_target_name_override': serverNameFor(address) };
      client = new Client(hostPort(address, port), credentials(), options);
    } catch {
      this.#tryAgain();
      return;
    }
    const asItIs = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const call = client.makeBidiStreamRequest(RELAY_FLOWS, asItIs, (bytes: Buffer) => bytes);
    this.#client = client;
    this.#call = call;
    call.on('data', (bytes: Buffer) => {
      if (this.#call === call) this.#take(bytes);
    });
    call.on('error', () => {});
    call.on('status', (_status: StatusObject) => {
      if (this.#call !== call) return;
      this.#end();
      this.#tryAgain();
    });
    this.#ask({ watch: this.#options.most.aSecond });
  }

  #ask(asked: FlowsAsked): void {
    this.#call?.write(askedBytes(asked));
  }

  #take(bytes: Buffer): void {
    try {
      const told = relayedIn(bytes);
      if (!('flows' in told)) {
        this.#reach = told;
        this.#options.changed();
      } else if (told.recent) this.#recent.came(told.flows);
      else {
        for (const flow of told.flows) this.#deliver?.(flow);
        // Of which proxies, the other one does not say.
        if (told.dropped > 0) this.#dropped(told.dropped, '');
      }
    } catch {
      this.#call?.cancel();
    }
  }

  #tryAgain(): void {
    this.#again = setTimeout(() => this.#open(), AGAIN_MS * (0.5 + Math.random() / 2)).unref();
  }

  #end(): void {
    const [call, client] = [this.#call, this.#client];
    this.#call = undefined;
    this.#client = undefined;
    this.#recent.came([]);
    call?.cancel();
    client?.close();
    if (this.#reach) {
      this.#reach = undefined;
      this.#options.changed();
    }
  }
}
