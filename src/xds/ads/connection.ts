/** The gRPC side of a client: one stream to a control plane, opened again whenever it ends. */
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  connectivityState,
  logVerbosity,
  type StatusObject,
  setLogVerbosity,
  status,
} from '@grpc/grpc-js';
import { messageOf } from '../../lib/errors.ts';
import { hostPort, type SocketAddress } from '../../lib/socket-address.ts';
import { CHANNEL_OPTIONS } from './channel-options.ts';
import { serverNameFor } from './client-credentials.ts';
import type { Protocol } from './subscription.ts';

/** Whoever speaks the protocol on the stream. */
export interface StreamClient {
  opened(write: (request: Uint8Array) => void): void;
  lost(): void;
  /** The stream ends if it throws. */
  response(bytes: Uint8Array): void;
}

export interface ConnectionOptions {
  /** Of the control plane, by IP address or name. */
  readonly target: SocketAddress;
  readonly protocol: Protocol;
  /** Asked for each connection: files with certificates may have been renewed. */
  readonly credentials: () => ChannelCredentials;
  readonly client: StreamClient;
  readonly tell: (event: ConnectionEvent) => void;
  /** What else is spoken over each connection, once the control plane has answered there. Returns what ends it. */
  readonly beside?: ((client: Client) => () => void) | undefined;
  readonly times?: ReconnectTimes;
}

export type ConnectionEvent =
  /** Told once for each kind of reason, until it is back. Of a stream that had lasted, when it could not be opened again at once. */
  | { readonly kind: 'lost'; readonly reason: string }
  /** A stream is there; told also of the first one. */
  | { readonly kind: 'connected' };

/** ms after which a lost stream is opened again: at first, and at most; each is a random time from half of that on. */
export interface ReconnectTimes {
  readonly first: number;
  readonly most: number;
}

const TIMES: ReconnectTimes = { first: 500, most: 10_000 };
/** A control plane that has nothing new says nothing: a stream that has lasted so long counts as there, ms. */
const LASTS_MS = 5000;

/** A stream that has lasted so long may end because its time is over, ms: control planes have clients come back now and then. */
const STEADY_MS = 60_000;

const METHODS: Readonly<Record<Protocol, string>> = {
  sotw: '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources',
  delta: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
};

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #times: ReconnectTimes;
  #end = () => {};
  #again: NodeJS.Timeout | undefined;
  #delay: number;
  /** What was told of the loss. */
  #told: status | undefined;
  /** When the stream that there is was connected, ms, monotonic. */
  #since: number | undefined;
  #closed = false;

  constructor(options: ConnectionOptions) {
    // What it would write to stderr is told.
    setLogVerbosity(logVerbosity.NONE);
    this.#options = options;
    this.#times = options.times ?? TIMES;
    this.#delay = this.#times.first;
    this.#open();
  }

  /** Ends the stream there is and opens another at once. */
  renew(): void {
    this.#end();
    clearTimeout(this.#again);
    this.#open();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#again);
    this.#end();
  }

  #open(): void {
    const { target, protocol, credentials, client } = this.#options;
    let grpc: Client;
    try {
      const { address, port } = target;
      const options = { ...CHANNEL_OPTIONS, 'grpc.ssl_target_name_override': serverNameFor(address) };
      grpc = new Client(hostPort(address, port), credentials(), options);
    } catch (error) {
      this.#lost(status.UNKNOWN, messageOf(error));
      return;
    }
    const asItIs = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const call: ClientDuplexStream<Uint8Array, Buffer> = grpc.makeBidiStreamRequest(METHODS[protocol], asItIs, (bytes: Buffer) => bytes);
    let over = false;
    let endBeside: (() => void) | undefined;
    const lasts = setInterval(() => {
      if (grpc.getChannel().getConnectivityState(false) === connectivityState.READY) connected();
    }, LASTS_MS).unref();
    const connected = () => {
      clearInterval(lasts);
      if (!over) this.#connected();
    };
    this.#end = () => {
      if (over) return;
      over = true;
      clearInterval(lasts);
      endBeside?.();
      call.cancel();
      grpc.close();
      client.lost();
    };
    const lost = (code: status, reason: string) => {
      if (over) return;
      this.#end();
      this.#lost(code, reason);
    };
    call.on('metadata', () => {
      connected();
      if (!over) endBeside = this.#options.beside?.(grpc);
    });
    call.on('data', (bytes: Buffer) => {
      if (over) return;
      try {
        client.response(bytes);
      } catch (error) {
        lost(status.UNKNOWN, messageOf(error));
      }
    });
    call.on('error', () => {});
    call.on('status', (ended: StatusObject) => lost(ended.code, reasonOf(ended, protocol)));
    client.opened((request) => call.write(request));
  }

  #connected(): void {
    this.#delay = this.#times.first;
    this.#told = undefined;
    this.#since = performance.now();
    this.#options.tell({ kind: 'connected' });
  }

  #lost(code: status, reason: string): void {
    if (this.#closed) return;
    const steady = this.#since !== undefined && performance.now() - this.#since >= STEADY_MS;
    this.#since = undefined;
    if (!steady) {
      if (this.#told !== code) this.#options.tell({ kind: 'lost', reason });
      this.#told = code;
    }
    this.#again = setTimeout(() => this.#open(), this.#delay * (0.5 + Math.random() / 2));
    this.#delay = Math.min(this.#delay * 2, this.#times.most);
  }
}

function reasonOf({ code, details }: StatusObject, protocol: Protocol): string {
  if (code === status.OK) return 'it ended the stream';
  // What the library says around the error of a connection is of no use here.
  const text = /Last error: (?:Error: )?(.+?)\. Resolution note:/s.exec(details)?.[1] ?? details;
  if (code !== status.UNIMPLEMENTED || protocol === 'sotw') return text;
  return `${text}; one without the incremental protocol needs --xds-protocol sotw`;
}
