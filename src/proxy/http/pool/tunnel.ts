/** A TCP connection that stands for the upstream of a CONNECT that ends at this proxy: bytes, no request and no response head. */
import { HeaderMap } from '../../../http/header-map.ts';
import { openTransport } from '../../net/open.ts';
import { Reader, writeTo } from '../../net/read-buffer.ts';
import type { StreamSocket } from '../../net/stream-socket.ts';
import type { Transport, TransportEvents } from '../../net/transport.ts';
import type { Address } from '../../types.ts';
import type { UpstreamStream } from '../contract.ts';
import type { PoolClient, PoolOwner } from './contract.ts';

export class TunnelConnection implements UpstreamStream, TransportEvents {
  readonly kind = 'tunnel';
  readonly localAddress: Address;
  readonly wasIdle = false;
  readonly #owner: PoolOwner;
  readonly #transport: Transport;
  readonly #client: PoolClient;
  #blocked = false;
  #over = false;

  constructor(owner: PoolOwner, socket: StreamSocket, client: PoolClient) {
    this.#owner = owner;
    this.#client = client;
    const reader = new Reader((data) => this.#read(data));
    this.#transport = openTransport(socket, reader, this);
    reader.transport = this.#transport;
    this.localAddress = this.#transport.localAddress;
    client.poolReady(this);
    this.#transport.resume();
  }

  #read(data: Buffer): void {
    if (this.#over) return;
    this.#client.upstreamData(data);
    this.#client.upstreamFlush();
  }

  drained(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    if (!this.#over) this.#client.upstreamDrained();
  }

  ended(): void {
    if (this.#over) return;
    this.#finish();
    this.#client.upstreamEnd(undefined);
    this.#client.upstreamFlush();
    this.#transport.end();
  }

  /** The tunnel stands: the client's CONNECT is answered by the proxy. */
  sendHead(): void {
    queueMicrotask(() => {
      if (this.#over) return;
      this.#client.upstreamHead(200, new HeaderMap(), false);
      this.#client.upstreamFlush();
    });
  }

  sendData(data: Buffer): void {
    if (!writeTo(this.#transport, data)) this.#blocked = true;
  }

  sendEnd(): void {
    this.#transport.end();
  }

  flush(): boolean {
    return !this.#blocked;
  }

  reset(): void {
    this.#finish();
    this.#transport.destroy();
  }

  pauseResponse(): void {
    this.#transport.pause();
  }

  resumeResponse(): void {
    this.#transport.resume();
  }

  closed(): void {
    if (this.#over) return;
    this.#finish();
    this.#transport.destroy();
    this.#client.upstreamReset('connection-termination', '');
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#owner.closed(this);
  }
}
