/** One HTTP/2 connection of a client, over a socket that the listener accepted. */
import { constants, type OutgoingHttpHeaders, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { REPEATED_FIELDS, toNodeHeaders, trailersOf } from '../../../http/h2/headers.ts';
import { type Http2Request, readRequest, toHead } from '../../../http/h2/request.ts';
import { takesExpectation } from '../../../http/head.ts';
import { HeaderMap } from '../../../http/header-map.ts';
import { own } from '../../net/read-buffer.ts';
import type { Downstream } from '../../types.ts';
import { type ConnectionFacts, connectionFacts } from '../connection-facts.ts';
import type { DownstreamStream, ManagerCore, ServerConnection } from '../contract.ts';
import { Exchange } from '../exchange.ts';
import { ServerTimers, type TimedConnection } from '../server-timers.ts';
import { FloodGuard } from './flood-guard.ts';
import type { Turn } from './turns.ts';

const { NGHTTP2_FLAG_END_STREAM, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR } = constants;

const SESSION_MEMORY_MB = 64;

export class H2ServerConnection implements ServerConnection, TimedConnection {
  readonly #core: ManagerCore;
  readonly #facts: ConnectionFacts;
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #closed: (connection: ServerConnection) => void;
  #active = 0;
  #ended = false;
  readonly #timers: ServerTimers;
  readonly #guard: FloodGuard;
  readonly #turn: Turn;

  constructor(core: ManagerCore, downstream: Downstream, closed: (connection: ServerConnection) => void) {
    this.#core = core;
    this.#facts = connectionFacts(downstream);
    this.#closed = closed;
    const { options } = core;
    const { socket } = downstream;
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.once('close', () => this.#timers.closed());
    if (downstream.head && downstream.head.length > 0) socket.unshift(downstream.head);
    // Accepted sockets rest until somebody reads; the session takes the handle as it finds it.
    else socket.read(0);
    this.#session = performServerHandshake(socket, {
      settings: {
        maxConcurrentStreams: options.maxConcurrentStreams,
        initialWindowSize: options.initialStreamWindow,
        maxHeaderListSize: options.maxHeadBytes,
        enableConnectProtocol: options.allowConnect,
      },
      // Pseudo-headers count too.
      maxHeaderListPairs: options.maxHeaders + 5,
      maxSessionMemory: SESSION_MEMORY_MB,
      ...REPEATED_FIELDS,
    });
    this.#session.setLocalWindowSize(options.initialConnectionWindow);
    this.#session.on('stream', (stream, _headers, flags, raw: string[]) => this.#onStream(stream, flags, raw));
    this.#session.on('error', () => this.#end());
    this.#session.on('close', () => this.#end());
    this.#session.on('goaway', () => this.drain());
    this.#timers = new ServerTimers(this, core.timers, options);
    this.#guard = new FloodGuard(this.#session, socket, core.timers);
    this.#turn = core.deps.pools.turns.connection();
    this.#settle();
  }

  /** GOAWAY; running streams go on. */
  drain(): void {
    if (!this.#session.closed && !this.#session.destroyed) this.#session.close();
    this.#settle();
  }

  idleTimeout(): void {
    this.drain();
  }

  tooOld(): void {
    this.drain();
  }

  headTimeout(): void {
    // The library reads heads.
  }

  drainTimeout(): void {
    // GOAWAY has told the client; there is nothing to wait for.
  }

  #onStream(stream: ServerHttp2Stream, flags: number, raw: string[]): void {
    this.#guard.fields(raw);
    this.#timers.busy();
    this.#active++;
    stream.once('close', () => {
      this.#active--;
      this.#settle();
    });
    const request = new H2ServerStream(this.#core, this.#facts, this.#guard, stream, (flags & NGHTTP2_FLAG_END_STREAM) !== 0, raw);
    this.#turn.take(() => request.begin());
  }

  /** Where no stream runs: the connection rests; or it closes, for which the client has a moment. */
  #settle(): void {
    if (this.#ended || this.#active > 0) return;
    if (this.#session.closed) this.#timers.closeSoon(this.#socket);
    else this.#timers.rest();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timers.end();
    this.#closed(this);
  }
}

class H2ServerStream implements DownstreamStream {
  readonly #stream: ServerHttp2Stream;
  readonly #exchange: Exchange;
  readonly #request: Http2Request;
  readonly #proxyContinue: boolean;
  readonly #guard: FloodGuard;
  #trailers: HeaderMap | undefined;
  #requestTrailers: HeaderMap | undefined;
  #blocked = false;
  /** What an upgrade carries: kept back until it is open, and dropped where it is refused. */
  #payload: 'held' | 'passed' | 'dropped' = 'passed';
  /** Given up: Node ends the body of a stream that is closed, and without trailers that end does not go out. */
  #cut = false;

  constructor(core: ManagerCore, facts: ConnectionFacts, guard: FloodGuard, stream: ServerHttp2Stream, end: boolean, raw: string[]) {
    this.#stream = stream;
    this.#guard = guard;
    const { options, deps } = core;
    const request = readRequest(raw, options);
    this.#request = request;
    this.#proxyContinue = options.proxyContinue;
    const exchange = new Exchange(core, this, facts, toHead(request, end, facts.tls, deps.random()));
    this.#exchange = exchange;
    this.#listen(stream, exchange);
    if (request.upgrade !== '') {
      this.#payload = 'held';
      stream.pause();
    }
  }

  /** Once, when it is the connection's turn. What comes before is kept. */
  begin(): void {
    const exchange = this.#exchange;
    const { refusal, headers, seen, authority } = this.#request;
    if (exchange.phase === 'done') return;
    if (refusal) {
      exchange.downstreamClosed('DR', refusal);
      this.#stream.close(NGHTTP2_INTERNAL_ERROR);
      return;
    }
    if (takesExpectation(headers, seen, this.#proxyContinue)) this.sendInformational(100, new HeaderMap());
    if (authority === undefined) exchange.reply({ status: 400, body: '', details: 'missing_host_header' });
    else exchange.begin();
    exchange.requestFlush();
  }

  sendHead(status: number, headers: HeaderMap, end: boolean): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.headersSent) return;
    const { upgrade } = this.#exchange.head;
    if (upgrade !== '') this.#decide(status === 101 || (upgrade === 'connect' && status < 300) ? 'passed' : 'dropped');
    // What is 101 in HTTP/1 is 200 to an extended CONNECT.
    const target: OutgoingHttpHeaders = { ':status': upgrade !== '' && status === 101 ? 200 : status };
    try {
      stream.respond(toNodeHeaders(headers, target), { endStream: end, waitForTrailers: !end });
    } catch {
      // A field that HTTP/2 does not have.
      stream.close(NGHTTP2_PROTOCOL_ERROR);
      return;
    }
    if (end) this.#closeRequest();
  }

  sendInformational(status: number, headers: HeaderMap): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.headersSent) return;
    try {
      stream.additionalHeaders(toNodeHeaders(headers, { ':status': status }));
    } catch {
      // Informational responses are dispensable.
    }
  }

  sendData(data: Buffer): void {
    this.#guard.sent(data.length);
    if (!this.#stream.destroyed && !this.#stream.writableEnded && !this.#stream.write(own(data))) this.#blocked = true;
  }

  sendEnd(trailers: HeaderMap | undefined): void {
    this.#trailers = trailers;
    this.#stream.end();
    this.#closeRequest();
  }

  closeAfterResponse(): void {
    // Streams do not share their fate.
  }

  flush(): boolean {
    return !this.#blocked;
  }

  reset(): void {
    this.#cut = true;
    this.#stream.close(NGHTTP2_INTERNAL_ERROR);
  }

  pauseRequest(): void {
    this.#stream.pause();
  }

  resumeRequest(): void {
    if (this.#payload !== 'held') this.#stream.resume();
  }

  #decide(payload: 'passed' | 'dropped'): void {
    this.#payload = payload;
    this.#stream.resume();
  }

  /** What is left of a request whose response is complete is read and dropped: its window would stay taken. */
  #closeRequest(): void {
    if (!this.#exchange.requestEnded) this.#stream.resume();
  }

  #listen(stream: ServerHttp2Stream, exchange: Exchange): void {
    const { session } = stream;
    stream.on('data', (data: Buffer) => {
      this.#guard.received(data.length);
      if (this.#payload === 'dropped') return;
      exchange.requestData(data);
      exchange.requestFlush();
    });
    stream.on('trailers', (_headers, _flags, raw: string[]) => {
      this.#guard.fields(raw);
      this.#requestTrailers = trailersOf(raw);
    });
    stream.on('end', () => {
      if (exchange.requestEnded || stream.aborted || stream.rstCode !== NGHTTP2_NO_ERROR) return;
      exchange.requestEnd(this.#requestTrailers);
      exchange.requestFlush();
    });
    stream.on('wantTrailers', () => {
      if (!stream.destroyed && !stream.closed && !this.#cut) stream.sendTrailers(toNodeHeaders(this.#trailers ?? new HeaderMap(), {}));
    });
    stream.on('drain', () => {
      this.#blocked = false;
      exchange.downstreamDrained();
    });
    stream.on('error', () => undefined);
    stream.on('close', () => {
      // The whole connection, for its flood; one stream; the whole connection.
      if (this.#guard.cut) exchange.downstreamClosed('DPE', 'http2.inbound_flood');
      else if (!session?.destroyed) exchange.downstreamClosed('DR', 'http2.remote_reset');
      else exchange.downstreamClosed('DC', 'downstream_remote_disconnect');
    });
  }
}
