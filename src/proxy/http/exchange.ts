/** One request and its response: passes through filters and router, may be answered by the proxy itself, and leaves one record. */

import { HeaderMap } from '../../http/header-map.ts';
import type { CompiledRoute, PseudoHeaderTarget, RouteRequest } from '../../http/routes/route.ts';
import { messageOf } from '../../lib/errors.ts';
import { newRecord } from '../record.ts';
import type { AccessRecord, Address, ChoiceContext, Downstream, ResponseFlag } from '../types.ts';
import type { ConnectionFacts, ManagerCore } from './core.ts';
import type { Forward } from './forward.ts';
import { own } from './h1/read-buffer.ts';
import { type LocalReply, localReply } from './local-reply.ts';
import { prepareRequest } from './prepare-request.ts';
import { prepareResponse } from './prepare-response.ts';
import { routeRequest } from './router.ts';
import type { DownstreamStream } from './stream.ts';
import { TimerEntry } from './timers.ts';

const NO_DATA: readonly Buffer[] = [];
/** Of gRPC's status codes. */
const DEADLINE_EXCEEDED = 4;

export class Exchange implements RouteRequest, PseudoHeaderTarget, ChoiceContext {
  readonly core: ManagerCore;
  readonly stream: DownstreamStream;
  readonly connection: ConnectionFacts;
  readonly record: AccessRecord;
  readonly headers: HeaderMap;
  /** Bits of SEEN of the head as received. */
  readonly seen: number;
  /** The upgrade that is asked for, in lower case: `websocket`, …, `connect`; empty for none. */
  readonly upgrade: string;
  /** Random integer of the request: fractions, weights. */
  readonly random: number;
  readonly tls: RouteRequest['tls'];
  method: string;
  authority: string;
  path: string;
  scheme: string;
  internal = false;
  /** A request from outside of the mesh, at its edge. */
  edge = false;
  hash: bigint | undefined = undefined;
  /** `set-cookie` that a hash policy asks for. */
  hashCookie: string | undefined = undefined;
  route: CompiledRoute | undefined = undefined;
  /** The whole request has come. */
  requestEnded: boolean;
  requestTrailers: HeaderMap | undefined = undefined;
  responseStarted = false;
  /** The response is complete or given up; the record is written. */
  finished = false;
  /** The tunnel of an upgrade is open: the request's end is the connection's. */
  tunnel = false;
  forward: Forward | undefined = undefined;
  /** What filters keep from one callback to the next. */
  filterState: Map<string, unknown> | undefined = undefined;

  #filter = 0;
  #waiting: Buffer[] | undefined = undefined;
  #idle: TimerEntry | undefined = undefined;
  #idleMs = 0;
  #activity = 0;
  #overall: TimerEntry | undefined = undefined;
  #longest: TimerEntry | undefined = undefined;

  constructor(
    core: ManagerCore,
    stream: DownstreamStream,
    connection: ConnectionFacts,
    protocol: string,
    method: string,
    authority: string,
    path: string,
    headers: HeaderMap,
    seen: number,
    upgrade: string,
    hasBody: boolean,
  ) {
    this.core = core;
    this.stream = stream;
    this.connection = connection;
    this.method = method;
    this.authority = authority;
    this.path = path;
    this.scheme = connection.scheme;
    this.headers = headers;
    this.seen = seen;
    this.upgrade = upgrade;
    this.tls = connection.tls;
    this.requestEnded = !hasBody;
    const { deps } = core;
    this.random = deps.random();
    const started = deps.now();
    const record = newRecord(connection.downstream, deps.timeOrigin + started, started);
    record.protocol = protocol;
    if (!hasBody) record.requestReceived = started;
    record.method = method;
    record.path = path;
    record.authority = authority;
    record.scheme = connection.scheme;
    record.requestHeaders = headers;
    this.record = record;
  }

  get downstream(): Downstream {
    return this.connection.downstream;
  }

  /** Host and port of the authority, for a dynamic forward proxy. */
  get target(): Address {
    const match = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(this.authority);
    const ip = (match?.[1] ?? this.authority).replace(/^\[|\]$/g, '');
    return { ip, port: match?.[2] ? Number(match[2]) : this.scheme === 'https' ? 443 : 80 };
  }

  /** Starts the exchange; called once, when the head is there. Whoever calls it calls `requestFlush` after it. */
  begin(): void {
    this.#armTimeouts();
    try {
      this.#begin();
    } catch (error) {
      this.#broken(error);
    }
  }

  #armTimeouts(): void {
    const { core } = this;
    const { options } = core;
    if (options.streamIdleMs > 0) this.setIdleTimeout(options.streamIdleMs);
    if (options.requestMs > 0 && !this.requestEnded) {
      this.#overall = new TimerEntry(() => this.reply({ status: 408, body: 'request timeout', details: 'request_overall_timeout' }));
      core.timers.arm(this.#overall, options.requestMs);
    }
    if (options.maxStreamMs > 0) this.setStreamDuration(options.maxStreamMs);
  }

  #begin(): void {
    const { core } = this;
    const refusal = prepareRequest(this);
    if (refusal) {
      this.reply(refusal);
      return;
    }
    const { record } = this;
    record.method = this.method;
    record.path = this.path;
    record.authority = this.authority;
    record.scheme = this.scheme;
    const route = core.routes()?.match(this);
    this.route = route;
    if (route) {
      record.routeName = route.name;
      record.routeMetadata = route.metadata?.filterMetadata;
    }
    this.#runFilters();
  }

  /** Configuration that turns out wrong only now (a filter's settings on a route) costs the request, not the process. */
  #broken(error: unknown): void {
    this.core.deps.logger.warn(`request for ${this.authority}${this.path}: ${messageOf(error)}`);
    this.#filter = 0;
    this.reply({ status: 500, body: '', details: 'internal_error' });
  }

  /** For a filter that stopped the request: goes on with the next filter, in the end with the router. */
  continueFilters(): void {
    if (this.finished) return;
    try {
      this.#runFilters();
    } catch (error) {
      this.#broken(error);
    }
    this.requestFlush();
  }

  #runFilters(): void {
    const { filters } = this.core;
    while (this.#filter < filters.length) {
      const filter = filters[this.#filter++]!;
      if (filter.onRequest(this) === 'stop' || this.finished) return;
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    routeRequest(this, this.requestEnded && waiting === undefined);
    if (waiting === undefined || this.finished) return;
    this.stream.resumeRequest();
    for (const data of waiting) this.forward?.requestData(data);
    if (this.requestEnded) this.forward?.requestEnd();
  }

  /** Streams without bytes in either direction for `ms` end. 0: never. */
  setIdleTimeout(ms: number): void {
    this.#idleMs = ms;
    if (this.#idle) this.core.timers.disarm(this.#idle);
    if (ms <= 0) return;
    this.#activity = this.core.deps.now();
    this.#idle ??= new TimerEntry(() => this.#idleCheck());
    this.core.timers.arm(this.#idle, ms);
  }

  /** The stream may take `ms` from its start. 0: as long as it will. */
  setStreamDuration(ms: number): void {
    const { timers, deps } = this.core;
    if (this.#longest) timers.disarm(this.#longest);
    if (ms <= 0) return;
    this.#longest ??= new TimerEntry(() =>
      this.#timeout('max_duration_timeout', undefined, 'downstream duration timeout', DEADLINE_EXCEEDED),
    );
    timers.arm(this.#longest, Math.max(1, Math.ceil(ms - (deps.now() - this.record.started))));
  }

  requestData(data: Buffer): void {
    this.record.bytesReceived += data.length;
    if (this.finished) return;
    if (this.#idleMs > 0) this.#activity = this.core.deps.now();
    if (this.forward) {
      this.forward.requestData(data);
      return;
    }
    // A filter holds the request: what came is kept, and no more is read.
    this.#waiting ??= [];
    this.#waiting.push(own(data));
    this.stream.pauseRequest();
  }

  requestEnd(trailers: HeaderMap | undefined): void {
    this.requestEnded = true;
    this.requestTrailers = trailers;
    if (this.finished) return;
    this.record.requestReceived = this.core.deps.now();
    if (this.#overall) this.core.timers.disarm(this.#overall);
    if (this.forward) this.forward.requestEnd();
    else this.#waiting ??= NO_DATA as Buffer[];
  }

  /** All that one read from the client brought has been told. */
  requestFlush(): void {
    this.forward?.requestFlush();
  }

  /** The client takes more again. */
  downstreamDrained(): void {
    this.forward?.downstreamDrained();
  }

  /** The client is gone, or its codec failed. */
  downstreamClosed(flag: ResponseFlag = 'DC', details = 'downstream_remote_disconnect'): void {
    if (this.finished) return;
    this.addFlag(flag);
    this.record.responseCodeDetails = details;
    this.#finish();
  }

  addFlag(flag: ResponseFlag): void {
    const { flags } = this.record;
    if (!flags.includes(flag)) flags.push(flag);
  }

  /** The head of the upstream's response. */
  respond(status: number, headers: HeaderMap, end: boolean): void {
    if (this.finished) return;
    const { record, core } = this;
    record.responseCode = status;
    record.responseCodeDetails = 'via_upstream';
    this.#sendHead(status, headers, end);
    if (end) this.#complete();
    else if (status === 101 || (this.method === 'CONNECT' && status < 300)) this.tunnel = true;
    if (this.#idleMs > 0) this.#activity = core.deps.now();
  }

  respondInformational(status: number, headers: HeaderMap): void {
    // Who expects 100 has got it from the proxy, unless it is the upstream's to say. The others end here, as in Envoy.
    if (this.finished || this.responseStarted || status !== 100 || !this.core.options.proxyContinue) return;
    this.stream.sendInformational(status, headers);
  }

  responseData(data: Buffer): void {
    if (this.finished) return;
    this.record.bytesSent += data.length;
    if (this.#idleMs > 0) this.#activity = this.core.deps.now();
    this.stream.sendData(data);
  }

  responseEnd(trailers: HeaderMap | undefined): void {
    if (this.finished) return;
    this.record.responseTrailers = trailers;
    this.stream.sendEnd(trailers);
    this.#complete();
  }

  /** False: the client is slow, stop reading the upstream until `downstreamDrained`. */
  responseFlush(): boolean {
    return this.stream.flush();
  }

  /** The upstream failed after the head of its response had gone out: the client must see that the body is not whole. */
  responseCut(flag: ResponseFlag, details: string): void {
    if (this.finished) return;
    this.addFlag(flag);
    this.record.responseCodeDetails = details;
    this.#finish();
    this.stream.reset();
  }

  /** Answers by itself; what was begun upstream is given up. After the head of a response has gone out, the stream is reset instead. */
  reply(reply: LocalReply): void {
    if (this.finished) return;
    if (reply.flag) this.addFlag(reply.flag);
    const { record } = this;
    record.responseCodeDetails = reply.details;
    if (this.responseStarted) {
      this.#finish();
      this.stream.reset();
      return;
    }
    if (record.upstreamCluster === '') this.#nameCluster();
    const { status, headers, body, trailersOnly } = localReply(
      this,
      reply.ofRoute ? { ...reply, headers: this.#routeHeaders(reply) } : reply,
    );
    // gRPC clients are told in the header; logs keep what HTTP would have said only through grpc-status.
    record.responseCode = status;
    // The rest of the request will not be read; and after a message that is wrong, none is trusted.
    if (!this.requestEnded || reply.status === 400) this.stream.closeAfterResponse();
    const withoutBody = trailersOnly || body.length === 0 || this.method === 'HEAD';
    this.#sendHead(status, headers, withoutBody);
    if (!withoutBody) {
      record.bytesSent += body.length;
      this.stream.sendData(body);
      this.stream.sendEnd(undefined);
    }
    this.#complete();
    this.stream.flush();
  }

  /** Logs name the cluster of the route, also where the request never got to it. */
  #nameCluster(): void {
    const action = this.route?.action;
    if (action?.kind !== 'forward') return;
    const name = action.choose(this)?.cluster;
    if (name !== undefined && this.core.deps.clusters.get(name)) this.record.upstreamCluster = name;
  }

  #routeHeaders({ headers }: LocalReply): HeaderMap {
    const made = headers ?? new HeaderMap();
    if (this.route?.action.kind !== 'forward') return made;
    this.forward?.choice.responseMutations?.apply(made, this.record);
    this.route.responseMutations?.apply(made, this.record);
    return made;
  }

  #sendHead(status: number, headers: HeaderMap, end: boolean): void {
    const { record } = this;
    prepareResponse(this, headers);
    const { filters } = this.core;
    for (let i = this.#filter - 1; i >= 0; i--) filters[i]!.onResponse?.(this, status, headers);
    this.responseStarted = true;
    record.responseHeaders = headers;
    this.stream.sendHead(status, headers, end);
  }

  #idleCheck(): void {
    const { timers, deps } = this.core;
    const left = this.#idleMs - (deps.now() - this.#activity);
    // Rounded, so that few durations are in use.
    if (left > 1) timers.arm(this.#idle!, Math.ceil(left / 250) * 250);
    else this.#timeout('stream_idle_timeout', 'SI', 'stream timeout');
  }

  /** The client is to blame as long as its request is not whole. */
  #timeout(details: string, flag: ResponseFlag | undefined, body: string, grpcStatus?: number): void {
    this.reply({ status: this.requestEnded ? 504 : 408, body, details, flag, grpcStatus, ofRoute: true });
  }

  /** The client has the whole response. */
  #complete(): void {
    this.record.responseEnded = this.core.deps.now();
    this.#finish();
  }

  #finish(): void {
    if (this.finished) return;
    this.finished = true;
    const { core, record } = this;
    if (this.#idle) core.timers.disarm(this.#idle);
    if (this.#overall) core.timers.disarm(this.#overall);
    if (this.#longest) core.timers.disarm(this.#longest);
    this.#waiting = undefined;
    this.forward?.abandon();
    const { filters } = core;
    for (let i = 0; i < this.#filter; i++) filters[i]!.onDestroy?.(this);
    record.method = this.method;
    record.path = this.path;
    record.authority = this.authority;
    record.ended = record.responseEnded || core.deps.now();
    core.deps.sink.record(record);
  }
}
