/** One HTTP/2 connection of a client, over a socket that the listener accepted. */
import { type FieldBlock, MALFORMED } from '../../../http/h2/field-block.ts';
import { ERROR } from '../../../http/h2/protocol.ts';
import { authorityOf, requestProblem, toHead } from '../../../http/h2/request.ts';
import { takesExpectation } from '../../../http/head.ts';
import { HeaderMap } from '../../../http/header-map.ts';
import type { Downstream } from '../../types.ts';
import { type ConnectionFacts, connectionFacts } from '../connection-facts.ts';
import type { DownstreamStream, ManagerCore, ServerConnection } from '../contract.ts';
import { Exchange } from '../exchange.ts';
import { ServerTimers, type TimedConnection } from '../server-timers.ts';
import type { Begun } from '../sniffer.ts';
import { TimerEntry } from '../timers.ts';
import type { CutBy, SessionOwner, SessionStream } from './contract.ts';
import { KeepAlive } from './keep-alive.ts';
import { Session } from './session.ts';
import { Stream } from './stream.ts';
import type { Turn } from './turns.ts';

/** Told apart from those that keep connections alive. */
const DRAIN_PING = Buffer.from('draining');

export class H2ServerConnection implements ServerConnection, TimedConnection, SessionOwner {
  readonly core: ManagerCore;
  readonly facts: ConnectionFacts;
  readonly turn: Turn;
  readonly session: Session;
  readonly #timers: ServerTimers;
  readonly #closed: (connection: ServerConnection) => void;
  readonly #keepAlive: KeepAlive | undefined;
  /** The client has been told that it is to open no more streams. */
  #draining = false;
  /** And it knows, or has had its time: the connection closes once none runs. */
  #ending = false;
  /** The frame or head that has begun and not ended; 0 for none. */
  #unfinished = 0;

  constructor(core: ManagerCore, downstream: Downstream, closed: (connection: ServerConnection) => void, begun?: Begun) {
    this.core = core;
    this.facts = connectionFacts(downstream);
    this.#closed = closed;
    const { options, deps } = core;
    this.turn = deps.pools.turns.connection();
    this.#timers = new ServerTimers(this, core.timers, options);
    this.session = new Session(
      begun?.transport ?? downstream.socket,
      this,
      {
        server: true,
        streamWindow: options.initialStreamWindow,
        connectionWindow: options.initialConnectionWindow,
        maxStreams: options.maxConcurrentStreams,
        extendedConnect: options.allowConnect,
        maxHeadBytes: options.maxHeadBytes,
        maxHeaders: options.maxHeaders,
      },
      core.timers.now,
    );
    this.#keepAlive = options.keepAlive && new KeepAlive(core.timers, options.keepAlive, this.session, () => this.session.destroy());
    this.#timers.rest();
    this.session.start(begun?.first ?? downstream.head);
  }

  /**
   * The client is told that no streams are to follow, and those that it has opened until it knows are served (RFC 9113, 6.8): its answer to a PING says that it
   * does.
   */
  drain(): void {
    if (this.#draining || this.session.over) return;
    this.#draining = true;
    this.session.announceEnd();
    this.session.sending.ping(DRAIN_PING, false);
    this.#timers.drain();
  }

  /** No more streams are taken; those that run go on. */
  #refuseMore(): void {
    this.#draining = true;
    this.#ending = true;
    this.session.goAway(ERROR.none);
    this.#settle();
  }

  idleTimeout(): void {
    this.drain();
  }

  tooOld(): void {
    this.drain();
  }

  /** A frame or a head that has begun does not end: no stream can go on behind it. */
  headTimeout(): void {
    this.session.goAway(ERROR.none);
    this.session.close();
  }

  drainTimeout(): void {
    this.#refuseMore();
  }

  opened(block: FieldBlock, end: boolean): SessionStream | undefined {
    this.#timers.busy();
    return new H2ServerStream(this, block, end);
  }

  streamEnded(): void {
    this.#settle();
  }

  goawayCame(): void {
    this.#refuseMore();
  }

  settingsCame(): void {
    // What the client takes, the session knows.
  }

  pongCame(payload: Buffer): void {
    if (this.#draining && payload.equals(DRAIN_PING)) this.#refuseMore();
    else this.#keepAlive?.pongCame();
  }

  readEnded(unfinished: number): void {
    if (unfinished === this.#unfinished) return;
    this.#unfinished = unfinished;
    this.#timers.headEnds();
    if (unfinished > 0) this.#timers.headBegins();
    else this.#settle();
  }

  ended(): void {
    this.#keepAlive?.stop();
    this.#timers.end();
    this.#timers.closeSoon(this.session.transport);
  }

  closed(): void {
    this.#timers.closed();
    this.#closed(this);
  }

  /** Where no stream runs: the connection rests; or it closes, for which the client has a moment. */
  #settle(): void {
    if (this.session.over || this.session.streams > 0) return;
    if (this.#ending) this.session.close();
    else if (this.#unfinished === 0) this.#timers.rest();
  }
}

class H2ServerStream extends Stream implements DownstreamStream {
  readonly #connection: H2ServerConnection;
  readonly #exchange: Exchange;
  readonly #block: FieldBlock;
  /** Why the request is none. */
  readonly #problem: string | undefined;
  #headSent = false;
  /** What an upgrade carries: kept back until it is open, and dropped where it is refused. */
  #payload: 'held' | 'passed' | 'dropped' = 'passed';

  constructor(connection: H2ServerConnection, block: FieldBlock, end: boolean) {
    super(connection.session);
    const { core, facts } = connection;
    this.#connection = connection;
    this.#block = block;
    this.#problem = requestProblem(block, end, core.options);
    this.#exchange = new Exchange(core, this, facts, toHead(block, end, facts.tls, core.deps.random()));
  }

  started(end: boolean): void {
    if (this.#exchange.head.upgrade !== '') {
      this.#payload = 'held';
      this.pause();
      if (end) this.endCame(undefined);
    } else this.remoteEnded = end;
    if (this.#problem === undefined) {
      this.#connection.turn.take(this);
      return;
    }
    const malformed = this.#problem === MALFORMED;
    this.#exchange.downstreamClosed(malformed ? 'DPE' : 'DR', this.#problem);
    // Limits are ours, and none of the protocol's.
    this.session.breakStream(this, malformed ? ERROR.protocol : ERROR.internal);
  }

  /** Once, when it is the connection's turn. What comes before is kept. */
  beginRequest(): void {
    const exchange = this.#exchange;
    if (exchange.phase === 'done') return;
    const { headers, seen } = this.#block;
    if (takesExpectation(headers, seen, this.#connection.core.options.proxyContinue)) this.sendInformational(100, new HeaderMap());
    if (authorityOf(this.#block) === undefined) exchange.reply({ status: 400, body: '', details: 'missing_host_header' });
    else exchange.begin();
    exchange.requestFlush();
  }

  // --- the response

  sendHead(status: number, headers: HeaderMap, end: boolean): void {
    if (this.closed || this.#headSent) return;
    this.#headSent = true;
    const { upgrade } = this.#exchange.head;
    if (upgrade !== '') this.#decide(status === 101 || (upgrade === 'connect' && status < 300) ? 'passed' : 'dropped');
    // What is 101 in HTTP/1 is 200 to an extended CONNECT.
    this.sending.responseHead(this.id, upgrade !== '' && status === 101 ? 200 : status, headers, end);
    if (end) this.headEnded();
  }

  sendInformational(status: number, headers: HeaderMap): void {
    if (!this.closed && !this.#headSent) this.sending.responseHead(this.id, status, headers, false);
  }

  sendData(data: Buffer): void {
    this.send(data);
  }

  sendEnd(trailers: HeaderMap | undefined): void {
    this.end(trailers);
  }

  closeAfterResponse(): void {
    // Streams do not share their fate.
  }

  flush(): boolean {
    return this.closed || this.hasRoom();
  }

  reset(): void {
    this.resetLocally(ERROR.internal);
  }

  pauseRequest(): void {
    this.pause();
  }

  resumeRequest(): void {
    if (this.#payload !== 'held') this.resume();
  }

  #decide(payload: 'passed' | 'dropped'): void {
    this.#payload = payload;
    // Not within the upstream's own read.
    queueMicrotask(() => this.resume());
  }

  /**
   * The response is whole: what is left of the request is not wanted, and is dropped. A client that goes on with it is told (RFC 9113 §8.1), but not at once:
   * some that are told with the last of a response take it for an error, and lose the response.
   */
  protected sendingEnded(): void {
    this.dropHeld();
    if (this.remoteEnded) return;
    this.#payload = 'dropped';
    this.resume();
    const { timers, options } = this.#connection.core;
    timers.arm(new TimerEntry(() => this.resetLocally(ERROR.none)), Math.max(1, options.delayedCloseMs));
  }

  protected drained(): void {
    this.#exchange.downstreamDrained();
  }

  // --- the request

  receivedHead(block: FieldBlock, end: boolean): void {
    this.trailersCame(block, end);
  }

  protected receivedData(data: Buffer): void {
    if (this.#payload !== 'dropped') this.#exchange.requestData(data);
  }

  protected receivedEnd(trailers: HeaderMap | undefined): void {
    if (!this.#exchange.requestEnded) this.#exchange.requestEnd(trailers);
  }

  receivedAll(): void {
    this.#exchange.requestFlush();
  }

  protected cut(by: CutBy, code: number): void {
    if (by === 'peer') this.#exchange.downstreamClosed('DR', 'http2.remote_reset');
    else if (by === 'rules') this.#exchange.downstreamClosed('DPE', MALFORMED);
    else if (code === ERROR.none) this.#exchange.downstreamClosed('DC', 'downstream_remote_disconnect');
    else this.#exchange.downstreamClosed('DPE', code === ERROR.enhanceYourCalm ? 'http2.inbound_flood' : 'codec_error');
  }
}
