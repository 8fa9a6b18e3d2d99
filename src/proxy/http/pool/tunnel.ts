/** A TCP connection that stands for the upstream of a CONNECT that ends at this proxy: bytes, no request and no response head. */
import type { Socket } from 'node:net';
import { HeaderMap } from '../../../http/header-map.ts';
import type { Address } from '../../types.ts';
import type { UpstreamStream } from '../contract.ts';
import { writeTo } from '../h1/read-buffer.ts';
import type { PoolClient, PoolOwner } from './contract.ts';

export class TunnelConnection implements UpstreamStream {
  readonly kind = 'tunnel';
  readonly localAddress: Address;
  readonly wasIdle = false;
  readonly #owner: PoolOwner;
  readonly #socket: Socket;
  readonly #client: PoolClient;
  #blocked = false;
  #over = false;

  constructor(owner: PoolOwner, socket: Socket, client: PoolClient) {
    this.#owner = owner;
    this.#socket = socket;
    this.#client = client;
    this.localAddress = { ip: socket.localAddress ?? '', port: socket.localPort ?? 0 };
    socket.on('drain', () => {
      this.#blocked = false;
      if (!this.#over) client.upstreamDrained();
    });
    socket.on('error', () => this.#lost());
    socket.on('close', () => this.#lost());
    socket.on('end', () => {
      if (this.#over) return;
      this.#finish();
      client.upstreamEnd(undefined);
      client.upstreamFlush();
      socket.end();
    });
    client.poolReady(this);
    socket.on('data', (data: Buffer) => {
      if (this.#over) return;
      client.upstreamData(data);
      client.upstreamFlush();
    });
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
    if (!writeTo(this.#socket, data)) this.#blocked = true;
  }

  sendEnd(): void {
    this.#socket.end();
  }

  flush(): boolean {
    return !this.#blocked;
  }

  reset(): void {
    this.#finish();
    this.#socket.destroy();
  }

  pauseResponse(): void {
    this.#socket.pause();
  }

  resumeResponse(): void {
    this.#socket.resume();
  }

  #lost(): void {
    if (this.#over) return;
    this.#finish();
    this.#socket.destroy();
    this.#client.upstreamReset('connection-termination', '');
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#owner.closed(this);
  }
}
