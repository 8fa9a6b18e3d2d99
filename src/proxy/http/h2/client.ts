/** One HTTP/2 connection to an upstream, over a socket that is connected already. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants, type OutgoingHttpHeaders } from 'node:http2';
import type { Socket } from 'node:net';
import { REPEATED_FIELDS, receivedHeaders, statusOf, toNodeHeaders, trailersOf } from '../../../http/h2/headers.ts';
import { HeaderMap } from '../../../http/header-map.ts';
import { codeOf } from '../../../lib/errors.ts';
import { own } from '../../net/read-buffer.ts';
import type { Address } from '../../types.ts';
import type { ResetKind, UpstreamEvents, UpstreamRequest, UpstreamStream } from '../contract.ts';
import type { PoolClient, PoolOwner } from '../pool/contract.ts';
import { TimerEntry } from '../timers.ts';
import { FloodGuard } from './flood-guard.ts';

const { NGHTTP2_CANCEL, NGHTTP2_FLAG_END_STREAM, NGHTTP2_PROTOCOL_ERROR, NGHTTP2_REFUSED_STREAM, NGHTTP2_NO_ERROR } = constants;

const STREAM_WINDOW = 256 * 1024;
const CONNECTION_WINDOW = 1024 * 1024;
const SESSION_MEMORY_MB = 256;

export class H2ClientConnection {
  readonly kind = 'multiplexed';
  readonly localAddress: Address;
  readonly #owner: PoolOwner;
  readonly #session: ClientHttp2Session;
  readonly guard: FloodGuard;
  #active = 0;
  #served = 0;
  #closed = false;
  #draining = false;
  #idleTimer: TimerEntry | undefined;

  constructor(owner: PoolOwner, socket: Socket) {
    this.#owner = owner;
    this.localAddress = { ip: socket.localAddress ?? '', port: socket.localPort ?? 0 };
    this.#session = connect('http://upstream', {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
      maxSessionMemory: SESSION_MEMORY_MB,
      ...REPEATED_FIELDS,
    });
    this.guard = new FloodGuard(this.#session, socket, owner.timers);
    // Node holds the session's settings back until this turn is over; the window can be raised at once.
    this.#session.once('connect', () => this.#session.setLocalWindowSize(CONNECTION_WINDOW));
    this.#session.on('error', () => this.#lost());
    this.#session.on('close', () => this.#lost());
    this.#session.on('goaway', () => this.drain());
    this.#session.on('remoteSettings', () => owner.available());
    this.#rest();
  }

  get hasRoom(): boolean {
    if (this.#closed || this.#draining || this.#session.destroyed || this.#session.closed) return false;
    return this.#active < (this.#session.remoteSettings?.maxConcurrentStreams ?? 100);
  }

  /** The connection is gone, not only one stream of it. */
  get gone(): boolean {
    return this.#closed || this.#session.destroyed;
  }

  open(client: PoolClient): void {
    this.#active++;
    this.#served++;
    if (this.#idleTimer) this.#owner.timers.disarm(this.#idleTimer);
    const { maxRequestsPerConnection: most } = this.#owner.cluster;
    if (most > 0 && this.#served >= most) this.#draining = true;
    client.poolReady(new H2ClientStream(this, client));
  }

  request(headers: OutgoingHttpHeaders, end: boolean): ClientHttp2Stream {
    return this.#session.request(headers, { endStream: end, waitForTrailers: !end });
  }

  /** RFC 8441: the server takes CONNECT with a protocol. */
  get extendedConnect(): boolean {
    return this.#session.remoteSettings?.enableConnectProtocol === true;
  }

  streamDone(): void {
    this.#active--;
    if (this.#active === 0) {
      if (this.#draining) this.close();
      else this.#rest();
    }
    if (!this.#closed) this.#owner.available();
  }

  /** No new streams; closes after the running ones. */
  drain(): void {
    this.#draining = true;
    if (this.#active === 0) this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#session.close();
    this.#lost();
  }

  #rest(): void {
    const { idleTimeoutMs } = this.#owner.cluster;
    if (idleTimeoutMs <= 0) return;
    this.#idleTimer ??= new TimerEntry(() => this.close());
    this.#owner.timers.arm(this.#idleTimer, idleTimeoutMs);
  }

  #lost(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#idleTimer) this.#owner.timers.disarm(this.#idleTimer);
    this.#owner.closed(this);
  }
}

class H2ClientStream implements UpstreamStream {
  readonly wasIdle = false;
  readonly #connection: H2ClientConnection;
  #events: UpstreamEvents | undefined;
  #stream: ClientHttp2Stream | undefined;
  #requestTrailers: HeaderMap | undefined;
  #responseTrailers: HeaderMap | undefined;
  #blocked = false;
  #counted = true;
  /** Given up: Node ends the body of a stream that is closed, and without trailers that end does not go out. */
  #cut = false;
  /** What the upstream speaks is not HTTP/2. */
  #broken = false;
  /** The protocol of an extended CONNECT. */
  #upgrade = '';

  constructor(connection: H2ClientConnection, events: UpstreamEvents) {
    this.#connection = connection;
    this.#events = events;
  }

  get localAddress(): Address {
    return this.#connection.localAddress;
  }

  sendHead(request: UpstreamRequest, end: boolean): void {
    const headers = this.#requestHeaders(request);
    if (!headers) {
      this.#fail('connection-termination');
      return;
    }
    let stream: ClientHttp2Stream;
    try {
      stream = this.#connection.request(headers, end);
    } catch {
      // Node refuses fields that HTTP/2 does not have, and sessions that have just ended.
      this.#fail(this.#connection.gone ? 'connection-termination' : 'protocol-error');
      return;
    }
    this.#stream = stream;
    this.#listen(stream);
  }

  sendData(data: Buffer): void {
    this.#connection.guard.sent(data.length);
    if (this.#stream && !this.#stream.write(own(data))) this.#blocked = true;
  }

  sendEnd(trailers: HeaderMap | undefined): void {
    this.#requestTrailers = trailers;
    this.#stream?.end();
  }

  flush(): boolean {
    return !this.#blocked;
  }

  reset(): void {
    this.#events = undefined;
    this.#release();
    this.#cut = true;
    this.#stream?.close(NGHTTP2_CANCEL);
  }

  pauseResponse(): void {
    this.#stream?.pause();
  }

  resumeResponse(): void {
    this.#stream?.resume();
  }

  /** Undefined if the server can't take the request: an upgrade without extended CONNECT. */
  #requestHeaders(request: UpstreamRequest): OutgoingHttpHeaders | undefined {
    const { upgrade, method, authority, headers } = request;
    if (upgrade === 'connect') return toNodeHeaders(headers, { ':method': 'CONNECT', ':authority': authority });
    const pseudo: OutgoingHttpHeaders = { ':method': method, ':scheme': request.scheme, ':authority': authority, ':path': request.path };
    if (upgrade === '') return toNodeHeaders(headers, pseudo);
    if (!this.#connection.extendedConnect) return undefined;
    this.#upgrade = upgrade;
    return toNodeHeaders(headers, { ...pseudo, ':method': 'CONNECT', ':protocol': upgrade });
  }

  #listen(stream: ClientHttp2Stream): void {
    stream.on('headers', (headers) => this.#events?.upstreamInformational(statusOf(headers), new HeaderMap()));
    const { guard } = this.#connection;
    stream.on('response', (headers, flags, raw: string[]) => {
      guard.fields(raw);
      const end = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
      const events = this.#events;
      if (!events) return;
      if (end) this.#finish();
      const status = statusOf(headers);
      const received = receivedHeaders(raw).headers;
      if (this.#upgrade !== '' && status === 200 && !end) {
        // What HTTP/1 calls 101 (RFC 8441 §5).
        received.append('connection', 'Upgrade');
        received.append('upgrade', this.#upgrade);
        events.upstreamHead(101, received, false);
      } else events.upstreamHead(status, received, end);
      events.upstreamFlush();
    });
    stream.on('data', (data: Buffer) => {
      guard.received(data.length);
      this.#events?.upstreamData(data);
      this.#events?.upstreamFlush();
    });
    stream.on('trailers', (_headers, _flags, raw: string[]) => {
      guard.fields(raw);
      this.#responseTrailers = trailersOf(raw);
    });
    stream.on('end', () => {
      // A reset ends the readable side too; `close` tells of it.
      if (stream.rstCode !== NGHTTP2_NO_ERROR || stream.aborted) return;
      const events = this.#events;
      this.#finish();
      events?.upstreamEnd(this.#responseTrailers);
      events?.upstreamFlush();
    });
    stream.on('wantTrailers', () => {
      if (!this.#cut && !stream.destroyed && !stream.closed)
        stream.sendTrailers(toNodeHeaders(this.#requestTrailers ?? new HeaderMap(), {}));
    });
    stream.on('drain', () => {
      this.#blocked = false;
      this.#events?.upstreamDrained();
    });
    stream.on('error', (error: Error) => {
      if (codeOf(error) === 'ERR_HTTP2_ERROR') this.#broken = true;
    });
    stream.on('close', () => {
      if (this.#broken || stream.rstCode === NGHTTP2_PROTOCOL_ERROR) this.#fail('protocol-error');
      else if (this.#connection.gone) this.#fail('connection-termination');
      else this.#fail(stream.rstCode === NGHTTP2_REFUSED_STREAM ? 'remote-refused' : 'remote-reset');
    });
  }

  /** The response is whole. A request that is not is given up. */
  #finish(): void {
    this.#events = undefined;
    this.#release();
    if (!this.#stream || this.#stream.writableEnded) return;
    this.#cut = true;
    this.#stream.close(NGHTTP2_NO_ERROR);
  }

  #fail(kind: ResetKind): void {
    const events = this.#events;
    this.#events = undefined;
    this.#release();
    events?.upstreamReset(kind, '');
  }

  #release(): void {
    if (!this.#counted) return;
    this.#counted = false;
    this.#connection.streamDone();
  }
}
