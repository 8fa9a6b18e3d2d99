/** One HTTP/1.1 connection to an upstream: one request at a time. */
import { encodeRequest, encodeTrailers, LAST_CHUNK, needsChunks, statusHasNoBody } from '../../../http/h1/encode.ts';
import { CodecError } from '../../../http/h1/error.ts';
import { parseResponseHead } from '../../../http/h1/head.ts';
import type { HeaderMap } from '../../../http/header-map.ts';
import { openTransport } from '../../net/open.ts';
import { Reader } from '../../net/read-buffer.ts';
import type { StreamSocket } from '../../net/stream-socket.ts';
import type { Transport, TransportEvents } from '../../net/transport.ts';
import type { Address } from '../../types.ts';
import type { ResetKind, UpstreamEvents, UpstreamRequest, UpstreamStream } from '../contract.ts';
import type { PoolClient, PoolOwner, SingleConnection } from '../pool/contract.ts';
import { TimerEntry } from '../timers.ts';
import { Output } from './out.ts';
import { type BodyFraming, CHUNKED, type MessageHandler, MessageParser, NO_BODY, UNTIL_CLOSE } from './parser.ts';

/** Envoy's bounds on response heads. */
const MAX_HEAD_BYTES = 60 * 1024;
const MAX_HEADERS = 100;
/** Servers close idle connections after seconds: one that dies younger died of the request. */
const STALE_AFTER_MS = 1000;

export class H1ClientConnection implements SingleConnection, UpstreamStream, MessageHandler, TransportEvents {
  readonly kind = 'single';
  readonly localAddress: Address;
  /** Requests that were begun on it. */
  served = 0;
  /** Kept by the pool: whether it counts as idle or as busy. */
  idle = false;
  wasIdle = false;

  readonly #owner: PoolOwner;
  readonly #transport: Transport;
  readonly #parser: MessageParser;
  readonly #out: Output;
  #events: UpstreamEvents | undefined;
  #method = '';
  #upgrade = false;
  #chunked = false;
  #requestDone = false;
  #responseDone = false;
  #reusable = true;
  #closed = false;
  #informational = false;
  /** Bytes of a protocol that HTTP knows nothing of: their end is no response's. */
  #tunnel = false;
  /** The head of a response without a body, told when the whole read is parsed. */
  #bodiless: { readonly status: number; readonly headers: HeaderMap } | undefined;
  #trailers: HeaderMap | undefined;
  #idleTimer: TimerEntry | undefined;
  #idleSince = 0;

  /** Reads nothing until `start`: its pool is to know it first. */
  constructor(owner: PoolOwner, socket: StreamSocket) {
    this.#owner = owner;
    const reader = new Reader((data) => this.#read(data));
    this.#transport = openTransport(socket, reader, this);
    reader.transport = this.#transport;
    this.localAddress = this.#transport.localAddress;
    this.#parser = new MessageParser(this, MAX_HEAD_BYTES, MAX_HEADERS, 0);
    this.#out = new Output(this.#transport);
  }

  start(): void {
    this.#transport.resume();
  }

  /** Gives the connection to a client. */
  assign(client: PoolClient): void {
    this.wasIdle = this.served > 0 && this.#owner.timers.now() - this.#idleSince >= STALE_AFTER_MS;
    this.served++;
    this.#events = client;
    this.#requestDone = false;
    this.#responseDone = false;
    this.#chunked = false;
    if (this.#idleTimer) this.#owner.timers.disarm(this.#idleTimer);
    this.#parser.next();
  }

  /** Waits for the next client; closes after `idleMs` (0: never). */
  rest(idleMs: number): void {
    this.#idleSince = this.#owner.timers.now();
    if (idleMs <= 0) return;
    this.#idleTimer ??= new TimerEntry(() => this.close());
    this.#owner.timers.arm(this.#idleTimer, idleMs);
  }

  close(): void {
    if (this.#closed) return;
    this.#shut();
    this.#transport.destroy();
  }

  sendHead(request: UpstreamRequest, end: boolean): void {
    this.#method = request.method;
    this.#upgrade = request.upgrade !== '';
    this.#chunked = needsChunks(request, end);
    this.#out.text(encodeRequest(request, end, this.#chunked));
    if (end && !this.#upgrade) this.#requestDone = true;
  }

  sendData(data: Buffer): void {
    if (this.#chunked) {
      this.#out.text(`${data.length.toString(16)}\r\n`);
      this.#out.data(data);
      this.#out.text('\r\n');
    } else this.#out.data(data);
  }

  sendEnd(trailers: HeaderMap | undefined): void {
    this.#requestDone = true;
    if (this.#chunked)
      this.#out.text(trailers && trailers.flat.length > 0 && this.#owner.cluster.trailers ? encodeTrailers(trailers) : LAST_CHUNK);
    if (this.#upgrade) {
      this.#out.flush();
      this.#transport.end();
    }
  }

  flush(): boolean {
    return this.#out.flush();
  }

  reset(): void {
    this.#events = undefined;
    this.close();
  }

  pauseResponse(): void {
    this.#transport.pause();
  }

  resumeResponse(): void {
    this.#transport.resume();
  }

  head(text: string): BodyFraming | undefined {
    const head = parseResponseHead(text, MAX_HEADERS);
    if (head instanceof CodecError) return this.#broken();
    const { status, headers } = head;
    // Framing where there is no body (RFC 9110 §8.6, RFC 9112 §6.1): what follows could be read in two ways.
    if (statusHasNoBody(status) && status !== 304 && (head.chunked || head.contentLength > 0)) return this.#broken();
    if (status < 200 && status !== 101) {
      this.#informational = true;
      this.#events?.upstreamInformational(status, headers);
      return NO_BODY;
    }
    this.#informational = false;
    if (status === 101 ? !this.#upgrade : head.unknownCoding || (head.chunked && head.contentLength >= 0)) return this.#broken();
    if (status === 101) {
      headers.append('connection', 'Upgrade');
      headers.append('upgrade', head.upgrade);
    }
    this.#reusable = head.minor === 1 ? !head.close : head.keepAlive;
    const tunnel = status === 101 || (this.#method === 'CONNECT' && status < 300);
    if (!tunnel && (this.#method === 'HEAD' || statusHasNoBody(status) || head.contentLength === 0)) {
      this.#bodiless = { status, headers };
      return NO_BODY;
    }
    this.#events?.upstreamHead(status, headers, false);
    if (tunnel) {
      this.#tunnel = true;
      return UNTIL_CLOSE;
    }
    if (head.chunked) return CHUNKED;
    return head.contentLength >= 0 ? { kind: 'length', length: head.contentLength } : UNTIL_CLOSE;
  }

  bodyData(data: Buffer): void {
    this.#events?.upstreamData(data);
  }

  messageEnd(trailers: HeaderMap | undefined): void {
    if (this.#informational) {
      this.#informational = false;
      this.#parser.next();
      return;
    }
    this.#responseDone = true;
    this.#trailers = trailers;
  }

  codecError(): void {
    this.#broken();
  }

  /** What the connection brings. */
  #read(data: Buffer): void {
    if (this.#closed) return;
    if (this.idle || !this.#events) {
      // Nobody asked.
      this.close();
      return;
    }
    const events = this.#events;
    this.#parser.execute(data);
    if (this.#responseDone) this.#complete();
    events.upstreamFlush();
  }

  /** The response is whole: the connection is free before the client hears of it, so that its next request finds it. */
  #complete(): void {
    const events = this.#events;
    const bodiless = this.#bodiless;
    const trailers = this.#trailers;
    this.#events = undefined;
    this.#bodiless = undefined;
    this.#trailers = undefined;
    // What follows a response without a request is nobody's: it must not become the next client's.
    if (this.#reusable && this.#requestDone && this.#parser.held === 0 && !this.#closed) this.#owner.released(this);
    else this.close();
    if (!events) return;
    if (bodiless) events.upstreamHead(bodiless.status, bodiless.headers, true);
    else events.upstreamEnd(this.#owner.cluster.trailers ? trailers : undefined);
  }

  #broken(): undefined {
    this.#fail('protocol-error');
    return undefined;
  }

  drained(): void {
    if (!this.#out.blocked) return;
    this.#out.drained();
    this.#events?.upstreamDrained();
  }

  ended(): void {
    if (this.#closed) return;
    if (!this.#events || this.#tunnel || !this.#parser.end() || !this.#responseDone) {
      this.closed();
      return;
    }
    this.#reusable = false;
    const events = this.#events;
    this.#complete();
    events.upstreamFlush();
  }

  closed(): void {
    // A response that was begun was promised whole.
    if (!this.#closed) this.#fail(this.#begun() ? 'protocol-error' : 'connection-termination');
  }

  #begun(): boolean {
    return this.#events !== undefined && !this.#tunnel && !this.#parser.atStart;
  }

  #fail(kind: ResetKind): void {
    const events = this.#events;
    this.#events = undefined;
    this.close();
    events?.upstreamReset(kind, '');
  }

  #shut(): void {
    this.#closed = true;
    this.#parser.stop();
    if (this.#idleTimer) this.#owner.timers.disarm(this.#idleTimer);
    this.#owner.closed(this);
  }
}
