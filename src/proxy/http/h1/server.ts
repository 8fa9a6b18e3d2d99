/** One HTTP/1 connection of a client: reads requests one after the other, writes their responses. */

import type { Socket } from 'node:net';
import { HeaderMap } from '../../../http/header-map.ts';
import { STATUS_CODES } from '../../../lib/node-http.ts';
import { takeOver } from '../../tcp/take-over.ts';
import type { Downstream } from '../../types.ts';
import { type ConnectionFacts, connectionFacts, type ManagerCore, type ServerConnection } from '../core.ts';
import { Exchange } from '../exchange.ts';
import type { LocalReply } from '../local-reply.ts';
import type { DownstreamStream } from '../stream.ts';
import { TimerEntry } from '../timers.ts';
import { CONTINUE, encodeTrailers, LAST_CHUNK, statusHasNoBody, statusLine } from './encode.ts';
import { CodecError } from './error.ts';
import { SEEN } from './fields.ts';
import { parseRequestHead, type RequestHead, requestLineError } from './head.ts';
import { Output } from './out.ts';
import { type BodyFraming, CHUNKED, type MessageHandler, MessageParser, NO_BODY } from './parser.ts';
import { Reader } from './read-buffer.ts';
import { readTarget } from './target.ts';

/** Pipelined bytes that are kept while a request runs; beyond this the client waits. */
const MAX_PIPELINED = 64 * 1024;

export class H1ServerConnection implements DownstreamStream, MessageHandler, ServerConnection {
  readonly #core: ManagerCore;
  readonly #facts: ConnectionFacts;
  readonly #socket: Socket;
  readonly #parser: MessageParser;
  readonly #out: Output;
  readonly #closed: (connection: ServerConnection) => void;
  #exchange: Exchange | undefined;
  #requestDone = true;
  #responseDone = true;
  /** The body of a request that asks for an upgrade is through. */
  #bodyDone = false;
  /** The connection ends after the response that is under way. */
  #closing = false;
  #ended = false;
  #handedBack = false;
  #chunked = false;
  /** The response is framed by the connection's end. */
  #untilClose = false;
  #bodiless = false;
  #requests = 0;
  #minor = 1;
  #authority: string | undefined;
  #reenterHead: string | undefined;
  #paused = false;
  #idleTimer: TimerEntry | undefined;
  #headTimer: TimerEntry | undefined;
  #ageTimer: TimerEntry | undefined;
  #drainTimer: TimerEntry | undefined;
  #delayTimer: TimerEntry | undefined;

  constructor(core: ManagerCore, downstream: Downstream, closed: (connection: ServerConnection) => void) {
    this.#core = core;
    this.#facts = connectionFacts(downstream);
    this.#closed = closed;
    // A connection that may go back to the listener keeps its socket.
    const reader = new Reader(this.#onData);
    const taken = downstream.reenter ? undefined : takeOver(downstream.socket, reader);
    const socket = taken?.socket ?? downstream.socket;
    reader.socket = socket;
    this.#socket = socket;
    this.#out = new Output(socket);
    this.#parser = new MessageParser(this, core.options.maxHeadBytes, core.options.maxHeaders);
    if (!taken) socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onClose);
    socket.on('close', this.#onClose);
    socket.on('drain', this.#onDrain);
    const { options, timers } = core;
    if (options.idleMs > 0) this.#idleTimer = new TimerEntry(() => this.#hangUp());
    if (options.maxConnectionMs > 0) {
      this.#ageTimer = new TimerEntry(() => this.drain());
      timers.arm(this.#ageTimer, options.maxConnectionMs);
    }
    this.#rest();
    if (downstream.head && downstream.head.length > 0) this.#onData(downstream.head);
    if (taken?.unread) this.#onData(taken.unread);
    if (!this.#paused && !this.#handedBack) socket.resume();
  }

  drain(): void {
    if (this.#closing || this.#ended) return;
    this.#closing = true;
    if (this.#exchange || this.#tunnelled) return;
    // A request may be on its way: it is still answered, with the word that it is the last.
    const { drainMs } = this.#core.options;
    this.#drainTimer = new TimerEntry(() => {
      if (!this.#exchange) this.#hangUp();
    });
    this.#core.timers.arm(this.#drainTimer, drainMs);
  }

  get #tunnelled(): boolean {
    return this.#exchange?.tunnel ?? false;
  }

  // --- the client's bytes

  readonly #onData = (data: Buffer): void => {
    if (this.#ended) return;
    if (this.#headTimer === undefined && this.#core.options.requestHeadersMs > 0 && this.#parser.atStart && !this.#exchange)
      this.#armHead();
    this.#parser.execute(data);
    this.#afterRead();
  };

  #afterRead(): void {
    if (this.#reenterHead !== undefined) this.#handBack();
    this.#exchange?.requestFlush();
    if (this.#parser.held > MAX_PIPELINED && !this.#paused) this.pauseRequest();
  }

  head(text: string): BodyFraming | undefined {
    const { options, timers } = this.#core;
    if (this.#headTimer) timers.disarm(this.#headTimer);
    this.#headTimer = undefined;
    const head = parseRequestHead(text, options);
    if (head instanceof CodecError) return this.#refuse(head);
    if (head.minor === 0 && !options.acceptHttp10) return this.#refuse(new CodecError('HTTP/1.0', 'low_version', 426));
    const target = readTarget(head, options.allowAbsoluteUrl);
    if (target instanceof CodecError) return this.#refuse(target);
    const error = this.#checkFraming(head);
    if (error) return this.#refuse(error);
    let { authority } = target;
    if (authority === undefined && head.minor === 0 && options.defaultHostForHttp10 !== '') authority = options.defaultHostForHttp10;
    const { downstream } = this.#facts;
    if (downstream.reenter) {
      // The filter chain was chosen for the authority of the first request.
      if (this.#authority !== undefined && authority !== this.#authority) {
        this.#reenterHead = text;
        return undefined;
      }
      this.#authority = authority;
    }
    return this.#begin(head, authority, target.path);
  }

  bodyData(data: Buffer): void {
    this.#exchange?.requestData(data);
  }

  messageEnd(trailers: HeaderMap | undefined): void {
    if (this.#ended) return;
    const exchange = this.#exchange;
    this.#bodyDone = true;
    // The bytes of a tunnel follow once the upstream has opened it.
    if (exchange && exchange.upgrade !== '' && !this.#requestDone) return;
    this.#requestDone = true;
    if (exchange && !exchange.requestEnded)
      exchange.requestEnd(trailers && trailers.flat.length > 0 && this.#core.options.trailers ? trailers : undefined);
    if (this.#responseDone) this.#advance();
  }

  codecError(error: CodecError): void {
    this.#refuse(error);
  }

  checkFirstLine(line: string): CodecError | undefined {
    return requestLineError(line, this.#core.options);
  }

  #begin(head: RequestHead, authority: string | undefined, path: string): BodyFraming | undefined {
    const { options, timers } = this.#core;
    if (this.#idleTimer) timers.disarm(this.#idleTimer);
    this.#requests++;
    this.#minor = head.minor;
    const lasts = head.minor === 1 ? !head.close : head.keepAlive;
    if (!lasts || (options.maxRequestsPerConnection > 0 && this.#requests >= options.maxRequestsPerConnection)) this.#closing = true;
    const upgrade = upgradeOf(head);
    const hasBody = head.chunked || head.contentLength > 0;
    const { headers } = head;
    if (head.teTrailers) headers.append('te', 'trailers');
    if (options.underscores !== 'allow' && (head.seen & SEEN.underscore) !== 0) {
      if (options.underscores === 'reject')
        return this.#refuse(new CodecError('underscore in a field name', 'http1.unexpected_underscore'));
      for (const [name] of headers.clone()) if (name.includes('_')) headers.remove(name);
    }
    this.#requestDone = false;
    this.#responseDone = false;
    this.#bodyDone = false;
    this.#chunked = false;
    this.#untilClose = false;
    const protocol = head.minor === 1 ? 'HTTP/1.1' : 'HTTP/1.0';
    const exchange = new Exchange(
      this.#core,
      this,
      this.#facts,
      protocol,
      head.method,
      authority ?? '',
      path,
      headers,
      head.seen,
      upgrade,
      hasBody || upgrade !== '',
    );
    this.#exchange = exchange;
    if ((head.seen & SEEN.expect) !== 0 && !options.proxyContinue && headers.get('expect')?.toLowerCase() === '100-continue') {
      headers.remove('expect');
      if (hasBody && head.minor === 1) {
        this.#out.text(CONTINUE);
        this.#out.flush();
      }
    }
    if (authority === undefined) exchange.reply({ status: 400, body: '', details: 'missing_host_header' });
    else exchange.begin();
    if (!hasBody) return NO_BODY;
    return head.chunked ? CHUNKED : { kind: 'length', length: head.contentLength };
  }

  #checkFraming(head: RequestHead): CodecError | undefined {
    if (head.unknownCoding) return new CodecError('transfer coding other than chunked', 'http1.invalid_transfer_encoding', 501);
    if (head.chunked) {
      if (head.contentLength >= 0) {
        if (!this.#core.options.allowChunkedLength) {
          return new CodecError('content-length and transfer-encoding', 'http1.content_length_and_chunked_not_allowed');
        }
        head.headers.remove('content-length');
      }
      // RFC 9112 §6.1: a coding in a message that says HTTP/1.0 is a framing error.
      if (head.minor === 0) return new CodecError('transfer-encoding in HTTP/1.0');
      if (head.method === 'CONNECT') return new CodecError('transfer-encoding with CONNECT', 'http1.transfer_encoding_not_allowed');
    }
    if (head.method === 'CONNECT' && head.contentLength > 0)
      return new CodecError('content-length with CONNECT', 'http1.content_length_not_allowed');
    return undefined;
  }

  /** What the client sent is not HTTP/1: it is told so where that is still possible, and the connection ends. */
  #refuse(error: CodecError): undefined {
    return this.#abort({ status: error.status, body: STATUS_CODES[error.status] ?? 'Bad Request', details: error.details, flag: 'DPE' });
  }

  /** For a head that is none. */
  #newExchange(): Exchange {
    return new Exchange(this.#core, this, this.#facts, 'HTTP/1.1', '', '', '', new HeaderMap(), 0, '', true);
  }

  /** Replies outside of any request where none is running, and ends the connection. */
  #abort(reply: LocalReply): undefined {
    this.#closing = true;
    this.#parser.stop();
    const running = this.#exchange;
    if (running && !running.finished) {
      running.reply(reply);
      return undefined;
    }
    this.#requestDone = true;
    this.#responseDone = false;
    this.#chunked = false;
    this.#untilClose = false;
    this.#minor = 1;
    const exchange = this.#newExchange();
    this.#exchange = exchange;
    exchange.reply(reply);
    return undefined;
  }

  // --- the response

  sendHead(status: number, headers: HeaderMap, end: boolean): void {
    const exchange = this.#exchange!;
    const tunnel = exchange.upgrade !== '' && (status === 101 || (exchange.method === 'CONNECT' && status < 300));
    this.#bodiless = !tunnel && (exchange.method === 'HEAD' || statusHasNoBody(status));
    // Refused the upgrade: the request is an ordinary one.
    if (exchange.upgrade !== '' && !tunnel) this.#requestDone = this.#bodyDone;
    const { flat } = headers;
    let text = statusLine(status, this.#minor);
    let framed = false;
    for (let i = 0; i < flat.length; i += 2) {
      const name = flat[i]!;
      if (name === 'content-length') {
        // Neither 1xx nor 204 may have one (RFC 9110 §8.6), nor a tunnel.
        if (tunnel || status === 204) continue;
        framed = true;
      } else if (name === 'connection' || name === 'upgrade') {
        if (!tunnel) continue;
      }
      text += `${name}: ${flat[i + 1]}\r\n`;
    }
    // The rest of a request whose response is there already is not waited for, so nothing can follow it.
    if (!tunnel && !exchange.requestEnded) this.#closing = true;
    this.#chunked = false;
    if (!tunnel && !this.#bodiless && !framed) {
      if (end) text += 'content-length: 0\r\n';
      else if (this.#minor === 1) {
        this.#chunked = true;
        text += 'transfer-encoding: chunked\r\n';
      } else {
        this.#untilClose = true;
        this.#closing = true;
      }
    }
    if (!tunnel) {
      if (this.#closing) text += 'connection: close\r\n';
      else if (this.#minor === 0) text += 'connection: keep-alive\r\n';
    }
    text += '\r\n';
    this.#out.text(text);
    if (tunnel) this.#openTunnel();
    else if (end) this.#responseEnd();
  }

  sendInformational(status: number, headers: HeaderMap): void {
    if (this.#minor === 0) return;
    let text = statusLine(status, this.#minor);
    for (const [name, value] of headers) text += `${name}: ${value}\r\n`;
    this.#out.text(`${text}\r\n`);
    this.#out.flush();
  }

  sendData(data: Buffer): void {
    if (this.#bodiless || data.length === 0) return;
    if (this.#chunked) {
      this.#out.text(`${data.length.toString(16)}\r\n`);
      this.#out.data(data);
      this.#out.text('\r\n');
    } else this.#out.data(data);
  }

  sendEnd(trailers: HeaderMap | undefined): void {
    if (this.#chunked)
      this.#out.text(trailers && trailers.flat.length > 0 && this.#core.options.trailers ? encodeTrailers(trailers) : LAST_CHUNK);
    if (this.#exchange?.tunnel) this.#closing = true;
    this.#responseEnd();
  }

  closeAfterResponse(): void {
    this.#closing = true;
  }

  flush(): boolean {
    return this.#out.flush();
  }

  reset(): void {
    this.#out.flush();
    this.#end();
    // Without a length or chunks, only a reset tells the client that something is missing.
    if (this.#untilClose) this.#socket.resetAndDestroy();
    else this.#flushAndDestroy();
  }

  pauseRequest(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resumeRequest(): void {
    if (!this.#paused || this.#ended) return;
    this.#paused = false;
    this.#socket.resume();
  }

  #openTunnel(): void {
    this.#exchange!.tunnel = true;
    this.#out.flush();
    // Bytes that the client sent early go now; not within the upstream's own read.
    queueMicrotask(() => {
      if (this.#ended) return;
      this.#parser.tunnel();
      this.#afterRead();
    });
  }

  #responseEnd(): void {
    this.#responseDone = true;
    if (this.#requestDone) this.#advance();
    // A request without a body ends right after its head, as soon as the parser is back.
    else if (!this.#exchange!.requestEnded) this.#discardRest();
  }

  /** Both messages are through: next request, or the end. */
  #advance(): void {
    this.#exchange = undefined;
    if (this.#closing) {
      this.#out.flush();
      this.#lingeringClose();
      return;
    }
    this.#rest();
    if (this.#paused) this.resumeRequest();
    this.#out.flush();
    this.#parser.next();
    this.#afterRead();
  }

  /** The response came before the request's end: the rest of the request is not wanted, and the connection can't be used on. */
  #discardRest(): void {
    this.#closing = true;
    this.#exchange = undefined;
    this.#out.flush();
    this.#lingeringClose();
  }

  /** Closes our side, and reads on for a moment: unread bytes would make the system reset the connection and lose the response. */
  #lingeringClose(): void {
    this.#parser.stop();
    this.#end();
    this.#socket.end();
    this.#socket.resume();
    this.#armDelayedClose();
  }

  #handBack(): void {
    const text = this.#reenterHead!;
    this.#reenterHead = undefined;
    const { downstream } = this.#facts;
    const unread = Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), this.#parser.takeRest()]);
    const { socket } = downstream;
    socket.pause();
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    socket.off('error', this.#onClose);
    socket.off('close', this.#onClose);
    socket.off('drain', this.#onDrain);
    this.#handedBack = true;
    this.#end();
    this.#closed(this);
    downstream.reenter!(unread);
  }

  // --- the connection

  readonly #onDrain = (): void => {
    this.#out.drained();
    this.#exchange?.downstreamDrained();
  };

  readonly #onEnd = (): void => {
    if (this.#ended) {
      if (this.#delayTimer) this.#core.timers.disarm(this.#delayTimer);
      this.#socket.destroySoon();
      return;
    }
    if (!this.#exchange && !this.#parser.atStart) this.#recordPartialHead();
    this.#hangUp();
  };

  readonly #onClose = (): void => {
    this.#end();
    if (this.#delayTimer) this.#core.timers.disarm(this.#delayTimer);
    this.#closed(this);
  };

  /** A client that leaves within a head was there: it has its line in the log. */
  #recordPartialHead(): void {
    this.#newExchange().downstreamClosed();
  }

  /** The client has gone, or nothing more is expected of it. */
  #hangUp(): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#out.flush();
    this.#end();
    exchange?.downstreamClosed();
    this.#flushAndDestroy();
  }

  /** What is written still goes out, unless the client does not take it. */
  #flushAndDestroy(): void {
    this.#socket.destroySoon();
    if (!this.#socket.destroyed) this.#armDelayedClose();
  }

  #armDelayedClose(): void {
    this.#delayTimer ??= new TimerEntry(() => this.#socket.destroy());
    this.#core.timers.arm(this.#delayTimer, Math.max(1, this.#core.options.delayedCloseMs));
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const { timers } = this.#core;
    if (this.#idleTimer) timers.disarm(this.#idleTimer);
    if (this.#headTimer) timers.disarm(this.#headTimer);
    if (this.#ageTimer) timers.disarm(this.#ageTimer);
    if (this.#drainTimer) timers.disarm(this.#drainTimer);
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.downstreamClosed();
  }

  #rest(): void {
    if (this.#idleTimer) this.#core.timers.arm(this.#idleTimer, this.#core.options.idleMs);
  }

  #armHead(): void {
    this.#headTimer = new TimerEntry(() => {
      this.#abort({ status: 408, body: 'request header timeout', details: 'request_header_timeout' });
    });
    this.#core.timers.arm(this.#headTimer, this.#core.options.requestHeadersMs);
  }
}

/** The upgrade that is asked for, in lower case. One to h2c is passed over, as HTTP/2 wants it by now (RFC 9113 §3.1) and Envoy does. */
function upgradeOf({ method, upgrade }: RequestHead): string {
  if (method === 'CONNECT') return 'connect';
  const asked = upgrade.toLowerCase();
  return asked === 'h2c' ? '' : asked;
}
