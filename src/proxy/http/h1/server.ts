/** One HTTP/1 connection of a client: reads requests one after the other, writes their responses. */

import { CONTINUE } from '../../../http/h1/encode.ts';
import { CodecError } from '../../../http/h1/error.ts';
import { type RequestHead, requestLineError } from '../../../http/h1/head.ts';
import { readRequest, toHead } from '../../../http/h1/request.ts';
import { Head, takesExpectation } from '../../../http/head.ts';
import { HeaderMap } from '../../../http/header-map.ts';
import type { LocalReply } from '../../../http/local-reply.ts';
import { STATUS_CODES } from '../../../lib/node-http.ts';
import { nodeSocket } from '../../net/bare-socket.ts';
import { openTransport } from '../../net/open.ts';
import { Reader } from '../../net/read-buffer.ts';
import { SocketTransport } from '../../net/socket-transport.ts';
import type { Transport, TransportEvents } from '../../net/transport.ts';
import type { Downstream } from '../../types.ts';
import { type ConnectionFacts, connectionFacts } from '../connection-facts.ts';
import type { DownstreamStream, ManagerCore, ServerConnection } from '../contract.ts';
import { Exchange } from '../exchange.ts';
import { ServerTimers, type TimedConnection } from '../server-timers.ts';
import type { Begun } from '../sniffer.ts';
import { Output } from './out.ts';
import { type BodyFraming, CHUNKED, type MessageHandler, MessageParser, NO_BODY } from './parser.ts';
import { ResponseWriter } from './response-writer.ts';

/** Pipelined bytes that are kept while a request runs; beyond this the client waits. */
const MAX_PIPELINED = 64 * 1024;

/**
 * `idle`: between requests; `request`: a request is coming in and its response is not complete; `upgrading`: the request has come, and whether its upgrade
 * opens is not known; `response`: the request has come, its response is not complete; `answered`: the response is complete, the request's end is not told
 * yet; `tunnel`: bytes in both directions until the end; `handed-back`: the listener has the socket again; `over`: nothing more is read or answered.
 */
type Phase = 'idle' | 'request' | 'upgrading' | 'response' | 'answered' | 'tunnel' | 'handed-back' | 'over';

export class H1ServerConnection implements DownstreamStream, MessageHandler, ServerConnection, TimedConnection, TransportEvents {
  readonly #core: ManagerCore;
  readonly #facts: ConnectionFacts;
  readonly #transport: Transport;
  /** Of a connection that may go back to the listener. */
  readonly #returnable: SocketTransport | undefined;
  readonly #parser: MessageParser;
  readonly #out: Output;
  readonly #closed: (connection: ServerConnection) => void;
  readonly #response: ResponseWriter;
  #phase: Phase = 'idle';
  /** The request that runs; none once its response is complete and nothing more is read of it. */
  #exchange: Exchange | undefined;
  /** The connection ends after the response that is under way. */
  #closing = false;
  /** The client sends no request after the one that has come (RFC 9112, 9.6). */
  #last = false;
  #requests = 0;
  #authority: string | undefined;
  #reenterHead: string | undefined;
  #paused = false;
  readonly #timers: ServerTimers;

  constructor(core: ManagerCore, downstream: Downstream, closed: (connection: ServerConnection) => void, begun?: Begun) {
    this.#core = core;
    this.#facts = connectionFacts(downstream);
    this.#closed = closed;
    const { socket } = downstream;
    const reader = new Reader(this.#onData);
    this.#returnable = downstream.reenter ? new SocketTransport(nodeSocket(socket), reader, this) : undefined;
    this.#transport = this.#returnable ?? openTransport(begun?.transport ?? socket, reader, this);
    reader.transport = this.#transport;
    this.#out = new Output(this.#transport);
    this.#response = new ResponseWriter(this.#out, core.options.trailers);
    this.#parser = new MessageParser(this, core.options.maxHeadBytes, core.options.maxHeaders);
    this.#timers = new ServerTimers(this, core.timers, core.options);
    this.#timers.rest();
    const first = begun?.first ?? downstream.head;
    if (first && first.length > 0) this.#onData(first);
    if (!this.#paused && !this.#isHandedBack()) this.#transport.resume();
  }

  drain(): void {
    if (this.#closing || this.#ended) return;
    this.#closing = true;
    if (this.#exchange) return;
    // A request may be on its way: it is still answered, with the word that it is the last.
    this.#timers.drain();
  }

  tooOld(): void {
    this.drain();
  }

  drainTimeout(): void {
    if (this.#phase === 'idle') this.#hangUp();
  }

  idleTimeout(): void {
    if (this.#phase === 'idle' && this.#parser.atStart) this.#hangUp();
  }

  headTimeout(reply: LocalReply): void {
    this.#abort(reply);
  }

  get #ended(): boolean {
    return this.#phase === 'over' || this.#phase === 'handed-back';
  }

  /** A method, as reading the first bytes may have changed the phase. */
  #isHandedBack(): boolean {
    return this.#phase === 'handed-back';
  }

  // --- the client's bytes

  readonly #onData = (data: Buffer): void => {
    if (this.#ended) return;
    this.#parser.execute(data);
    this.#afterRead();
  };

  #afterRead(): void {
    if (this.#reenterHead !== undefined) this.#handBack();
    if (this.#phase === 'idle' && !this.#parser.atStart) this.#timers.headBegins();
    this.#exchange?.requestFlush();
    if (this.#parser.held > MAX_PIPELINED && !this.#paused) this.pauseRequest();
  }

  head(text: string): BodyFraming | undefined {
    const { options } = this.#core;
    this.#timers.headEnds();
    const head = readRequest(text, options);
    if (head instanceof CodecError) return this.#refuse(head);
    if (this.#facts.downstream.reenter) {
      // The filter chain was chosen for the authority of the first request.
      if (this.#authority !== undefined && head.authority !== this.#authority) {
        this.#reenterHead = text;
        return undefined;
      }
      this.#authority = head.authority;
    }
    return this.#begin(head);
  }

  bodyData(data: Buffer): void {
    this.#exchange?.requestData(data);
  }

  messageEnd(trailers: HeaderMap | undefined): void {
    const exchange = this.#exchange;
    if (this.#ended) return;
    // The bytes of a tunnel follow once the upstream has opened it.
    if (this.#phase === 'request' && exchange && exchange.head.upgrade !== '') {
      this.#phase = 'upgrading';
      return;
    }
    const answered = this.#phase === 'answered';
    if (this.#phase === 'request') this.#phase = 'response';
    if (exchange && !exchange.requestEnded)
      exchange.requestEnd(trailers && trailers.flat.length > 0 && this.#core.options.trailers ? trailers : undefined);
    if (answered) this.#advance();
  }

  codecError(error: CodecError): void {
    this.#refuse(error);
  }

  checkFirstLine(line: string): CodecError | undefined {
    return requestLineError(line, this.#core.options);
  }

  #begin(head: RequestHead): BodyFraming {
    const { options, deps } = this.#core;
    this.#timers.busy();
    this.#requests++;
    this.#last = head.minor === 1 ? head.close : !head.keepAlive;
    if (this.#last || (options.maxRequestsPerConnection > 0 && this.#requests >= options.maxRequestsPerConnection)) this.#closing = true;
    this.#phase = 'request';
    this.#response.begin(head.minor);
    const exchange = new Exchange(this.#core, this, this.#facts, toHead(head, this.#facts.tls, deps.random()));
    this.#exchange = exchange;
    const hasBody = head.chunked || head.contentLength > 0;
    if (takesExpectation(head.headers, head.seen, options.proxyContinue) && hasBody && head.minor === 1) {
      this.#out.text(CONTINUE);
      this.#out.flush();
    }
    if (head.authority === undefined) exchange.reply({ status: 400, body: '', details: 'missing_host_header' });
    else exchange.begin();
    if (!hasBody) return NO_BODY;
    return head.chunked ? CHUNKED : { kind: 'length', length: head.contentLength };
  }

  /** What the client sent is not HTTP/1: it is told so where that is still possible, and the connection ends. */
  #refuse(error: CodecError): undefined {
    return this.#abort({ status: error.status, body: STATUS_CODES[error.status] ?? 'Bad Request', details: error.details, flag: 'DPE' });
  }

  /** For a head that is none. */
  #newExchange(): Exchange {
    const { scheme, tls } = this.#facts;
    const head = new Head('HTTP/1.1', '', '', '', scheme, new HeaderMap(), 0, '', true, this.#core.deps.random(), tls);
    return new Exchange(this.#core, this, this.#facts, head);
  }

  /** Replies outside of any request where none is running, and ends the connection. */
  #abort(reply: LocalReply): undefined {
    this.#closing = true;
    this.#parser.stop();
    const running = this.#exchange;
    if (running && running.phase !== 'done') {
      running.reply(reply);
      return undefined;
    }
    this.#phase = 'response';
    this.#response.begin(1);
    const exchange = this.#newExchange();
    this.#exchange = exchange;
    exchange.reply(reply);
    return undefined;
  }

  // --- the response

  sendHead(status: number, headers: HeaderMap, end: boolean): void {
    const { head, requestEnded } = this.#exchange!;
    if (head.upgrade !== '' && (status === 101 || (head.method === 'CONNECT' && status < 300))) {
      this.#response.tunnelHead(status, headers);
      this.#openTunnel();
      return;
    }
    // Refused the upgrade: the request is an ordinary one.
    if (this.#phase === 'upgrading') this.#phase = 'response';
    // The rest of a request whose response is there already is not waited for, so nothing can follow it.
    if (!requestEnded) this.#closing = true;
    this.#closing = this.#response.head(status, headers, end, head.method, this.#closing);
    if (end) this.#responseEnd();
  }

  sendInformational(status: number, headers: HeaderMap): void {
    this.#response.informational(status, headers);
  }

  sendData(data: Buffer): void {
    this.#response.data(data);
  }

  sendEnd(trailers: HeaderMap | undefined): void {
    this.#response.end(trailers);
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
    if (this.#response.endsWithConnection) this.#transport.reset();
    else this.#flushAndDestroy();
  }

  pauseRequest(): void {
    this.#paused = true;
    this.#transport.pause();
  }

  resumeRequest(): void {
    if (!this.#paused || this.#ended) return;
    this.#paused = false;
    this.#transport.resume();
  }

  #openTunnel(): void {
    this.#phase = 'tunnel';
    // Bytes that the client sent early go now; not within the upstream's own read.
    queueMicrotask(() => {
      if (this.#ended) return;
      this.#parser.tunnel();
      this.#afterRead();
    });
  }

  #responseEnd(): void {
    if (this.#phase === 'response') this.#advance();
    // A request without a body ends right after its head, as soon as the parser is back.
    else if (this.#exchange!.requestEnded) this.#phase = 'answered';
    else this.#discardRest();
  }

  /** Both messages are through: next request, or the end. */
  #advance(): void {
    this.#exchange = undefined;
    this.#phase = 'idle';
    if (this.#closing) {
      if (this.#last && this.#parser.held === 0) this.#hangUp();
      else this.#lingeringClose();
      return;
    }
    this.#timers.rest();
    if (this.#paused) this.resumeRequest();
    this.#out.flush();
    this.#parser.next();
    this.#afterRead();
  }

  /** The response came before the request's end: the rest of the request is not wanted, and the connection can't be used on. */
  #discardRest(): void {
    this.#closing = true;
    this.#exchange = undefined;
    this.#lingeringClose();
  }

  /** Closes our side, and reads on for a moment: unread bytes would make the system reset the connection and lose the response. */
  #lingeringClose(): void {
    this.#out.flush();
    this.#parser.stop();
    this.#end();
    this.#transport.end();
    this.#transport.resume();
    this.#timers.closeSoon(this.#transport);
  }

  #handBack(): void {
    const text = this.#reenterHead!;
    this.#reenterHead = undefined;
    const { downstream } = this.#facts;
    const unread = Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), this.#parser.takeRest()]);
    this.#returnable!.release();
    this.#end();
    this.#phase = 'handed-back';
    this.#closed(this);
    downstream.reenter!(unread);
  }

  // --- the connection

  drained(): void {
    if (!this.#out.blocked) return;
    this.#out.drained();
    this.#exchange?.downstreamDrained();
  }

  ended(): void {
    if (this.#ended) {
      this.#timers.closed();
      this.#transport.destroySoon();
      return;
    }
    if (!this.#exchange && !this.#parser.atStart) this.#recordPartialHead();
    this.#hangUp();
  }

  closed(): void {
    this.#end();
    this.#timers.closed();
    this.#closed(this);
  }

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
    this.#transport.destroySoon();
    if (!this.#transport.destroyed) this.#timers.closeSoon(this.#transport);
  }

  #end(): void {
    if (this.#ended) return;
    this.#phase = 'over';
    this.#timers.end();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.downstreamClosed();
  }
}
