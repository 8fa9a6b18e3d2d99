/** One HTTP/2 connection of a client, over a socket that the listener accepted. */
import { constants, type OutgoingHttpHeaders, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { HeaderMap } from '../../../http/header-map.ts';
import type { Downstream } from '../../types.ts';
import { type ConnectionFacts, connectionFacts, type ManagerCore, type ServerConnection } from '../core.ts';
import { Exchange } from '../exchange.ts';
import { SEEN } from '../h1/fields.ts';
import { own } from '../h1/read-buffer.ts';
import type { ManagerOptions } from '../options.ts';
import type { DownstreamStream } from '../stream.ts';
import { TimerEntry } from '../timers.ts';
import { REPEATED_FIELDS, receivedHeaders, toNodeHeaders, trailersOf } from './headers.ts';

const { NGHTTP2_FLAG_END_STREAM, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR } = constants;

const SESSION_MEMORY_MB = 64;

export class H2ServerConnection implements ServerConnection {
  readonly #core: ManagerCore;
  readonly #facts: ConnectionFacts;
  readonly #session: ServerHttp2Session;
  readonly #closed: (connection: ServerConnection) => void;
  #active = 0;
  #ended = false;
  #idleTimer: TimerEntry | undefined;
  #ageTimer: TimerEntry | undefined;

  constructor(core: ManagerCore, downstream: Downstream, closed: (connection: ServerConnection) => void) {
    this.#core = core;
    this.#facts = connectionFacts(downstream);
    this.#closed = closed;
    const { options, timers } = core;
    const { socket } = downstream;
    socket.on('error', () => undefined);
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
    if (options.idleMs > 0) this.#idleTimer = new TimerEntry(() => this.drain());
    if (options.maxConnectionMs > 0) {
      this.#ageTimer = new TimerEntry(() => this.drain());
      timers.arm(this.#ageTimer, options.maxConnectionMs);
    }
    this.#rest();
  }

  /** GOAWAY; running streams go on. */
  drain(): void {
    if (!this.#session.closed && !this.#session.destroyed) this.#session.close();
  }

  #onStream(stream: ServerHttp2Stream, flags: number, raw: string[]): void {
    if (this.#idleTimer) this.#core.timers.disarm(this.#idleTimer);
    this.#active++;
    stream.once('close', () => {
      this.#active--;
      if (this.#active === 0) this.#rest();
    });
    new H2ServerStream(this.#core, this.#facts, stream, (flags & NGHTTP2_FLAG_END_STREAM) !== 0, raw);
  }

  #rest(): void {
    if (this.#idleTimer && !this.#ended) this.#core.timers.arm(this.#idleTimer, this.#core.options.idleMs);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#idleTimer) this.#core.timers.disarm(this.#idleTimer);
    if (this.#ageTimer) this.#core.timers.disarm(this.#ageTimer);
    this.#closed(this);
  }
}

class H2ServerStream implements DownstreamStream {
  readonly #stream: ServerHttp2Stream;
  readonly #exchange: Exchange;
  #trailers: HeaderMap | undefined;
  #requestTrailers: HeaderMap | undefined;
  #blocked = false;
  /** Given up: Node ends the body of a stream that is closed, and without trailers that end does not go out. */
  #cut = false;

  constructor(core: ManagerCore, facts: ConnectionFacts, stream: ServerHttp2Stream, end: boolean, raw: string[]) {
    this.#stream = stream;
    const pseudo = pseudoHeaders(raw);
    const { headers, seen } = receivedHeaders(raw);
    const connect = pseudo.method === 'CONNECT';
    const upgrade = connect ? (pseudo.protocol === '' ? 'connect' : pseudo.protocol.toLowerCase()) : '';
    // An extended CONNECT is the upgrade of HTTP/1 (RFC 8441 §4): routes see it as one.
    const method = upgrade !== '' && upgrade !== 'connect' ? 'GET' : pseudo.method;
    const authority = pseudo.authority ?? hostOf(raw);
    const exchange = new Exchange(
      core,
      this,
      facts,
      'HTTP/2',
      method,
      authority ?? '',
      pseudo.path,
      headers,
      seen,
      upgrade,
      !end || upgrade !== '',
    );
    if (pseudo.scheme === 'http' || pseudo.scheme === 'https') exchange.scheme = pseudo.scheme;
    this.#exchange = exchange;
    this.#listen(stream, exchange);
    const refusal = refusalOf(raw, seen, core.options);
    if (refusal) {
      exchange.downstreamClosed('DR', refusal);
      stream.close(NGHTTP2_INTERNAL_ERROR);
      return;
    }
    if ((seen & SEEN.expect) !== 0 && !core.options.proxyContinue && headers.get('expect')?.toLowerCase() === '100-continue') {
      headers.remove('expect');
      stream.additionalHeaders({ ':status': 100 });
    }
    if (authority === undefined) exchange.reply({ status: 400, body: '', details: 'missing_host_header' });
    else exchange.begin();
    exchange.requestFlush();
  }

  sendHead(status: number, headers: HeaderMap, end: boolean): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.headersSent) return;
    const { upgrade } = this.#exchange;
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
    this.#stream.resume();
  }

  /** What is left of a request whose response is complete is read and dropped: its window would stay taken. */
  #closeRequest(): void {
    if (!this.#exchange.requestEnded) this.#stream.resume();
  }

  #listen(stream: ServerHttp2Stream, exchange: Exchange): void {
    const { session } = stream;
    stream.on('data', (data: Buffer) => {
      exchange.requestData(data);
      exchange.requestFlush();
    });
    stream.on('trailers', (_headers, _flags, raw: string[]) => {
      this.#requestTrailers = trailersOf(raw);
    });
    stream.on('end', () => {
      if (exchange.requestEnded || stream.aborted || stream.rstCode !== NGHTTP2_NO_ERROR) return;
      exchange.requestEnd(this.#requestTrailers);
      exchange.requestFlush();
    });
    stream.on('wantTrailers', () => {
      if (!stream.destroyed && !this.#cut) stream.sendTrailers(toNodeHeaders(this.#trailers ?? new HeaderMap(), {}));
    });
    stream.on('drain', () => {
      this.#blocked = false;
      exchange.downstreamDrained();
    });
    stream.on('error', () => undefined);
    stream.on('close', () => {
      // One stream, or the whole connection.
      if (!session?.destroyed) exchange.downstreamClosed('DR', 'http2.remote_reset');
      else exchange.downstreamClosed('DC', 'downstream_remote_disconnect');
    });
  }
}

interface PseudoHeaders {
  method: string;
  path: string;
  authority: string | undefined;
  protocol: string;
  scheme: string;
}

/** Why the stream is reset, as `%RESPONSE_CODE_DETAILS%`: limits that clients may ignore although they are told (RFC 9113 §6.5.2). */
function refusalOf(raw: readonly string[], seen: number, options: ManagerOptions): string | undefined {
  if (options.underscores === 'reject' && (seen & SEEN.underscore) !== 0) return 'http2.unexpected_underscore';
  let bytes = 0;
  for (const part of raw) bytes += part.length;
  return bytes > options.maxHeadBytes ? 'http2.header_list_size_too_large' : undefined;
}

/** nghttp2 has checked that they come first, once each, and which are there. */
function pseudoHeaders(raw: readonly string[]): PseudoHeaders {
  const pseudo: PseudoHeaders = { method: '', path: '', authority: undefined, protocol: '', scheme: '' };
  for (let i = 0; i < raw.length; i += 2) {
    const value = raw[i + 1]!;
    switch (raw[i]) {
      case ':method':
        pseudo.method = value;
        break;
      case ':path':
        pseudo.path = value;
        break;
      case ':authority':
        pseudo.authority = value;
        break;
      case ':scheme':
        pseudo.scheme = value;
        break;
      case ':protocol':
        pseudo.protocol = value;
        break;
      default:
        // The pseudo-headers come first.
        if (raw[i]!.charCodeAt(0) !== 58) return pseudo;
    }
  }
  return pseudo;
}

function hostOf(raw: readonly string[]): string | undefined {
  for (let i = 0; i < raw.length; i += 2) if (raw[i] === 'host') return raw[i + 1];
  return undefined;
}
