/** One HTTP/2 connection to an upstream, over a socket that is connected already. */
import { statusHasNoBody } from '../../../http/h1/encode.ts';
import type { BlockLimits, FieldBlock } from '../../../http/h2/field-block.ts';
import { ERROR } from '../../../http/h2/protocol.ts';
import type { HeaderMap } from '../../../http/header-map.ts';
import type { StreamSocket } from '../../net/stream-socket.ts';
import type { Address } from '../../types.ts';
import type { ResetKind, UpstreamEvents, UpstreamRequest, UpstreamStream } from '../contract.ts';
import type { PoolClient, PoolOwner } from '../pool/contract.ts';
import { TimerEntry } from '../timers.ts';
import type { CutBy, SessionOwner } from './contract.ts';
import { KeepAlive } from './keep-alive.ts';
import { Session } from './session.ts';
import { Stream } from './stream.ts';

const STREAM_WINDOW = 256 * 1024;
const CONNECTION_WINDOW = 1024 * 1024;
/** Envoy's bounds on response heads. */
const LIMITS: BlockLimits = { maxHeadBytes: 60 * 1024, maxHeaders: 100 };
/** A server has as long to take our last words, in ms. */
const CLOSE_MS = 1000;

export class H2ClientConnection implements SessionOwner {
  readonly kind = 'multiplexed';
  readonly localAddress: Address;
  readonly session: Session;
  readonly #owner: PoolOwner;
  readonly #keepAlive: KeepAlive | undefined;
  #served = 0;
  #draining = false;
  #ended = false;
  #idleTimer: TimerEntry | undefined;
  #closeTimer: TimerEntry | undefined;

  /** Reads nothing until `start`: its pool is to know it first. */
  constructor(owner: PoolOwner, socket: StreamSocket) {
    this.#owner = owner;
    const settings = {
      ...LIMITS,
      server: false,
      streamWindow: STREAM_WINDOW,
      connectionWindow: CONNECTION_WINDOW,
      maxStreams: 0,
      extendedConnect: false,
    };
    this.session = new Session(socket, this, settings, owner.timers.now);
    this.localAddress = this.session.transport.localAddress;
    const { http2KeepAlive } = owner.cluster;
    this.#keepAlive = http2KeepAlive && new KeepAlive(owner.timers, http2KeepAlive, this.session, () => this.session.destroy());
  }

  start(): void {
    this.session.start(undefined);
    this.#settle();
  }

  get hasRoom(): boolean {
    const { session } = this;
    return (
      !this.#draining &&
      !session.over &&
      session.hasNumbers &&
      session.streams < Math.min(session.peer.maxStreams, this.#owner.cluster.http2MaxStreams)
    );
  }

  open(client: PoolClient): void {
    this.#served++;
    if (this.#idleTimer) this.#owner.timers.disarm(this.#idleTimer);
    const { maxRequestsPerConnection: most } = this.#owner.cluster;
    if (most > 0 && this.#served >= most) this.#draining = true;
    client.poolReady(new H2ClientStream(this, client));
  }

  /** No new streams; closes after the running ones. */
  drain(): void {
    this.#draining = true;
    this.#settle();
  }

  close(): void {
    this.session.goAway(ERROR.none);
    this.session.close();
  }

  opened(): undefined {
    // Servers open no streams: the session ends where one tries to.
  }

  streamEnded(): void {
    this.#settle();
    if (!this.#ended) this.#owner.available();
  }

  settingsCame(): void {
    this.#owner.available();
  }

  goawayCame(): void {
    this.drain();
  }

  pongCame(): void {
    this.#keepAlive?.pongCame();
  }

  readEnded(): void {
    // Requests have their timeouts.
  }

  ended(): void {
    this.#ended = true;
    this.#keepAlive?.stop();
    const { timers } = this.#owner;
    if (this.#idleTimer) timers.disarm(this.#idleTimer);
    this.#closeTimer = new TimerEntry(() => this.session.transport.destroy());
    timers.arm(this.#closeTimer, CLOSE_MS);
    this.#owner.closed(this);
  }

  closed(): void {
    if (this.#closeTimer) this.#owner.timers.disarm(this.#closeTimer);
  }

  /** Where no stream runs: the connection rests until its idle time is over, or closes. */
  #settle(): void {
    if (this.session.over || this.session.streams > 0) return;
    if (this.#draining) {
      this.close();
      return;
    }
    const { idleTimeoutMs } = this.#owner.cluster;
    if (idleTimeoutMs <= 0) return;
    this.#idleTimer ??= new TimerEntry(() => this.close());
    this.#owner.timers.arm(this.#idleTimer, idleTimeoutMs);
  }
}

class H2ClientStream extends Stream implements UpstreamStream {
  readonly wasIdle = false;
  readonly #connection: H2ClientConnection;
  #events: UpstreamEvents | undefined;
  #method = '';
  /** The protocol of an extended CONNECT. */
  #upgrade = '';
  #headCame = false;

  constructor(connection: H2ClientConnection, events: UpstreamEvents) {
    super(connection.session);
    this.#connection = connection;
    this.#events = events;
  }

  get localAddress(): Address {
    return this.#connection.localAddress;
  }

  // --- the request

  sendHead(request: UpstreamRequest, end: boolean): void {
    const { upgrade, method, headers } = request;
    const extended = upgrade !== '' && upgrade !== 'connect';
    if (this.#connection.session.over || (extended && !this.#connection.session.peer.extendedConnect)) {
      this.#giveUp();
      this.#fail('connection-termination');
      return;
    }
    this.#method = upgrade === '' ? method : 'CONNECT';
    if (extended) this.#upgrade = upgrade;
    this.#connection.session.openStream(this);
    this.sending.head(this.id, this.#pseudo(request), headers, end);
    if (end) this.headEnded();
  }

  #pseudo({ upgrade, authority, scheme, path }: UpstreamRequest): string[] {
    if (upgrade === 'connect') return [':method', 'CONNECT', ':authority', authority];
    const pseudo = [':method', this.#method, ':scheme', scheme, ':authority', authority, ':path', path];
    if (upgrade !== '') pseudo.push(':protocol', upgrade);
    return pseudo;
  }

  sendData(data: Buffer): void {
    this.send(data);
  }

  sendEnd(trailers: HeaderMap | undefined): void {
    this.end(trailers);
  }

  flush(): boolean {
    return this.closed || this.hasRoom();
  }

  reset(): void {
    this.#events = undefined;
    if (this.id === 0) this.#giveUp();
    else this.resetLocally(ERROR.cancel);
  }

  /** Before it was opened. */
  #giveUp(): void {
    this.closed = true;
    this.#connection.streamEnded();
  }

  pauseResponse(): void {
    this.pause();
  }

  resumeResponse(): void {
    this.resume();
  }

  protected sendingEnded(): void {
    // The response is still to come.
  }

  protected drained(): void {
    this.#events?.upstreamDrained();
  }

  started(): void {
    // Its request begins with `sendHead`.
  }

  // --- the response

  receivedHead(block: FieldBlock, end: boolean): void {
    if (this.#headCame) {
      this.trailersCame(block, end);
      return;
    }
    const { status } = block;
    const informational = status < 200;
    if (block.problem !== undefined || !block.isResponse || (informational && end)) {
      this.session.breakStream(this, ERROR.protocol);
      return;
    }
    if (informational) {
      this.#events?.upstreamInformational(status, block.headers);
      return;
    }
    this.#headCame = true;
    // What says how long the answer to a GET would be is no length of this one.
    const bodiless = this.#method === 'HEAD' || statusHasNoBody(status);
    this.expected = bodiless ? 0 : this.#method === 'CONNECT' && status < 300 ? -1 : block.contentLength;
    // As in HTTP/1: what follows could be read in two ways.
    if ((end && this.expected > 0) || (status === 204 && block.contentLength > 0)) {
      this.session.breakStream(this, ERROR.protocol);
      return;
    }
    this.#tellHead(status, block.headers, end);
  }

  #tellHead(status: number, headers: HeaderMap, end: boolean): void {
    const events = this.#events;
    if (this.#upgrade !== '' && status === 200 && !end) {
      // What HTTP/1 calls 101 (RFC 8441 §5).
      headers.append('connection', 'Upgrade');
      headers.append('upgrade', this.#upgrade);
      events?.upstreamHead(101, headers, false);
      return;
    }
    if (end) this.#whole();
    events?.upstreamHead(status, headers, end);
    if (end) events?.upstreamFlush();
  }

  protected receivedData(data: Buffer): void {
    this.#events?.upstreamData(data);
  }

  protected receivedEnd(trailers: HeaderMap | undefined): void {
    const events = this.#events;
    this.#whole();
    events?.upstreamEnd(trailers);
    events?.upstreamFlush();
  }

  receivedAll(): void {
    this.#events?.upstreamFlush();
  }

  /** The response is whole. A request that is not is given up. */
  #whole(): void {
    this.#events = undefined;
    this.remoteEnd();
    if (!this.localEnded) this.resetLocally(ERROR.none);
  }

  protected cut(by: CutBy, code: number): void {
    const broken = by === 'connection' ? code !== ERROR.none : by === 'rules' || code === ERROR.protocol;
    if (broken) this.#fail('protocol-error');
    else if (by === 'connection') this.#fail('connection-termination');
    else this.#fail(code === ERROR.refused ? 'remote-refused' : 'remote-reset');
  }

  #fail(kind: ResetKind): void {
    const events = this.#events;
    this.#events = undefined;
    events?.upstreamReset(kind, '');
  }
}
