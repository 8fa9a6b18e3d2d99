/**
 * The gRPC between Envoy and its control plane: a server at a unix socket, and a stream to the control plane for each that Envoy opens. While the control
 * plane is gone Envoy's stream stays, so that it goes on getting its identity; once it is back Envoy is to begin anew, as it then says what it has.
 */
import { type ChannelCredentials, Client, type ClientDuplexStream, type Metadata, type StatusObject, status } from '@grpc/grpc-js';
import type { FlowHub } from '../flows/hub.ts';
import { tellFlows } from '../flows/remote/telling.ts';
import { messageOf } from '../lib/errors.ts';
import { type Call, type CallListener, type Handler, startGrpcServer } from '../lib/grpc/server.ts';
import { STATUS, type Status } from '../lib/grpc/status.ts';
import { hostPort, type SocketAddress } from '../lib/socket-address.ts';
import { CHANNEL_OPTIONS } from '../xds/ads/channel-options.ts';
import { serverNameFor } from '../xds/ads/client-credentials.ts';
import { DeltaStream, type DeltaStreamOptions } from './delta-stream.ts';

export interface AdsProxyOptions extends Pick<DeltaStreamOptions, 'secrets' | 'rootsCame' | 'namesCame' | 'refused' | 'told'> {
  /** What else is served at the socket, by path. */
  readonly more: ReadonlyMap<string, Handler>;
  /** Path of the socket. */
  readonly socket: string;
  readonly target: SocketAddress;
  /** Asked for each connection: the identity may have been renewed. */
  readonly credentials: () => ChannelCredentials;
  /** What is added to each call, e.g. a token. */
  readonly metadata: () => Metadata;
  /** The calls of the Envoy that the control plane may be told of. */
  readonly flows: FlowHub;
  readonly tell: (event: AdsProxyEvent) => void;
}

export type AdsProxyEvent =
  /** Told once for each reason, until it is back. */
  { readonly kind: 'lost'; readonly reason: string } | { readonly kind: 'connected' };

export interface AdsProxy {
  close(): void;
}

const METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
/** Between two attempts, ms: at first and at most. */
const AGAIN = { firstMs: 250, mostMs: 5000 };
/** For one attempt to connect, ms: certificates are read anew after it. */
const PATIENCE_MS = 5000;
/** Within an attempt. */
const RECONNECT = { 'grpc.initial_reconnect_backoff_ms': 250, 'grpc.max_reconnect_backoff_ms': 1000 };

type ToControlPlane = ClientDuplexStream<Uint8Array, Buffer>;

/** Rejects as `listening`. */
export async function startAdsProxy(options: AdsProxyOptions): Promise<AdsProxy> {
  const told = new Told(options.tell);
  const server = await startGrpcServer({
    listen: { path: options.socket },
    what: 'cannot serve xDS',
    name: 'the agent',
    methods: new Map<string, Handler>([[METHOD, (call) => new Passage(call, options, told)], ...options.more]),
  });
  return { close: () => void server.close(0) };
}

/** What was told of the way to the control plane, by all streams together. */
class Told {
  readonly #tell: AdsProxyOptions['tell'];
  #lost: string | undefined = '';

  constructor(tell: AdsProxyOptions['tell']) {
    this.#tell = tell;
  }

  lost(reason: string): void {
    if (this.#lost !== reason) this.#tell({ kind: 'lost', reason });
    this.#lost = reason;
  }

  connected(): void {
    if (this.#lost !== undefined) this.#tell({ kind: 'connected' });
    this.#lost = undefined;
  }
}

/** One stream of Envoy's. */
class Passage implements CallListener {
  readonly #envoy: Call;
  readonly #options: AdsProxyOptions;
  readonly #told: Told;
  readonly #stream: DeltaStream;
  #client: Client | undefined;
  #upstream: ToControlPlane | undefined;
  /** Ends the telling of calls. */
  #endTelling = () => {};
  /** What Envoy has said before there was somebody to hear it. */
  #early: Uint8Array[] = [];
  #again: NodeJS.Timeout | undefined;
  #delayMs = AGAIN.firstMs;
  /** The control plane was there, and is gone. */
  #broken = false;
  /** Responses that Envoy has not read. */
  #unread = 0;
  #over = false;

  constructor(envoy: Call, options: AdsProxyOptions, told: Told) {
    this.#envoy = envoy;
    this.#options = options;
    this.#told = told;
    const { secrets, rootsCame, namesCame, refused, told: toldUnwatched } = options;
    this.#stream = new DeltaStream({
      secrets,
      rootsCame,
      namesCame,
      refused,
      told: toldUnwatched,
      toEnvoy: (response) => this.#write(response),
      toControlPlane: (request) => {
        if (this.#upstream) this.#upstream.write(request);
        else if (!this.#broken) this.#early.push(request);
      },
    });
    envoy.begin();
    this.#connect();
  }

  message(bytes: Buffer): void {
    this.#checked(() => this.#stream.fromEnvoy(bytes));
  }

  halfClosed(): void {
    this.#end(STATUS.ok);
  }

  closed(): void {
    this.#end(STATUS.ok);
  }

  /** Once there is a connection a stream is opened: names that are looked up and handshakes take their time, and what Envoy says waits for them. */
  #connect(): void {
    const { target, credentials, metadata } = this.#options;
    const { address, port } = target;
    this.#client?.close();
    let client: Client;
    try {
      client = new Client(hostPort(address, port), credentials(), {
        ...CHANNEL_OPTIONS,
        ...RECONNECT,
        'grpc.ssl_target_name_override': serverNameFor(address),
      });
    } catch (error) {
      this.#lost(messageOf(error));
      return;
    }
    this.#client = client;
    client.waitForReady(Date.now() + PATIENCE_MS, (error) => {
      if (this.#over || client !== this.#client) return;
      if (error) this.#lost('it cannot be reached');
      // It is to say anew what it has: this stream's beginning is past.
      else if (this.#broken) this.#end(STATUS.unavailable, 'the control plane is back');
      else this.#open(client, metadata());
    });
  }

  #open(client: Client, metadata: Metadata): void {
    const asItIs = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const upstream: ToControlPlane = client.makeBidiStreamRequest(METHOD, asItIs, (bytes: Buffer) => bytes, metadata);
    this.#upstream = upstream;
    upstream.on('metadata', () => {
      this.#told.connected();
      const { flows, metadata: of } = this.#options;
      if (!this.#over && this.#stream.tells) this.#endTelling = tellFlows(client, flows, of);
    });
    upstream.on('data', (bytes: Buffer) => this.#checked(() => this.#stream.fromControlPlane(bytes)));
    upstream.on('error', () => {});
    upstream.on('status', ({ code, details }: StatusObject) => {
      if (this.#over || this.#upstream !== upstream) return;
      this.#upstream = undefined;
      this.#broken = true;
      this.#endTelling();
      this.#lost(code === status.OK ? 'it ended the stream' : details);
    });
    for (const request of this.#early) upstream.write(request);
    this.#early = [];
  }

  #lost(reason: string): void {
    this.#told.lost(reason);
    this.#again = setTimeout(() => this.#connect(), this.#delayMs * (0.5 + Math.random() / 2));
    this.#delayMs = Math.min(this.#delayMs * 2, AGAIN.mostMs);
  }

  /** Nothing more is read of the control plane while Envoy has something to read. */
  #write(response: Uint8Array): void {
    if (this.#over) return;
    this.#unread += 1;
    this.#upstream?.pause();
    this.#envoy.write(response, () => {
      this.#unread -= 1;
      if (this.#unread === 0) this.#upstream?.resume();
    });
  }

  #checked(pass: () => void): void {
    try {
      pass();
    } catch (error) {
      this.#end(STATUS.internal, messageOf(error));
    }
  }

  #end(code: Status, details = ''): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#again);
    this.#stream.close();
    this.#endTelling();
    this.#upstream?.cancel();
    this.#client?.close();
    this.#envoy.end(code, details);
  }
}
