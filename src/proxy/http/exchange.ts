/** One request and its response: passes through the filters, may be answered by the proxy itself, and leaves one record. */
import { splitAuthority } from '../../http/authority.ts';
import { judgeBinding } from '../../http/binding.ts';
import { hideCredentials, type Injected } from '../../http/credentials.ts';
import { strayReply } from '../../http/filters/credentials.ts';
import type { FilterStream, ResponseMark, RouterSettings, Tokens } from '../../http/filters/filter.ts';
import type { Head } from '../../http/head.ts';
import type { HeaderMap } from '../../http/header-map.ts';
import { type LocalReply, localReply, replyHeaders } from '../../http/local-reply.ts';
import { prepareRequest } from '../../http/prepare.ts';
import { type DynamicMetadata, withMetadata } from '../../http/rbac/subject.ts';
import { prepareResponse } from '../../http/response.ts';
import type { CompiledRoute, ForwardAction } from '../../http/routes/route.ts';
import type { SideAnswer, SideCall } from '../../http/side-call.ts';
import type { AskedCredential } from '../../lib/contained.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Redacted } from '../../lib/redacted.ts';
import { copyDownstream } from '../copy-downstream.ts';
import type { AccessRecord, Address, Downstream, ResponseFlag } from '../types.ts';
import type { ConnectionFacts } from './connection-facts.ts';
import type { DownstreamStream, ExchangePhase, ForwardedExchange, ManagerCore } from './contract.ts';
import { FilterWait } from './filter-wait.ts';
import { Forward, noCluster } from './forward.ts';
import { HeldBody } from './held-body.ts';
import { hasWholeResponse, nameCluster, nameRequest, nameRouteCluster, requestRecord } from './request-record.ts';
import { NOTHING, ResponseChanges } from './response-changes.ts';
import { type StreamTimeout, StreamTimeouts, type TimedStream, timeoutReply } from './stream-timeouts.ts';
import { unaudited } from './unaudited.ts';

export class Exchange implements FilterStream, ForwardedExchange, TimedStream {
  readonly core: ManagerCore;
  readonly stream: DownstreamStream;
  readonly connection: ConnectionFacts;
  readonly head: Head;
  readonly record: AccessRecord;
  phase: ExchangePhase = 'filtering';
  hash: bigint | undefined = undefined;
  /** `set-cookie` that a hash policy asks for. */
  hashCookie: string | undefined = undefined;
  route: CompiledRoute | undefined = undefined;
  /** The whole request has come. */
  requestEnded: boolean;
  requestTrailers: HeaderMap | undefined = undefined;
  injected: readonly Injected[] | undefined = undefined;

  #filter = 0;
  #forward: Forward | undefined = undefined;
  #held: HeldBody | undefined = undefined;
  #wait: FilterWait | undefined = undefined;
  #timeouts: StreamTimeouts | undefined = undefined;
  #changes: ResponseChanges | undefined = undefined;

  constructor(core: ManagerCore, stream: DownstreamStream, connection: ConnectionFacts, head: Head) {
    this.core = core;
    this.stream = stream;
    this.connection = connection;
    this.head = head;
    this.requestEnded = !head.hasBody;
    this.record = requestRecord(core.deps, connection, head);
  }

  get downstream(): Downstream {
    return this.connection.downstream;
  }

  /** Policies see the client that x-forwarded-for names. */
  get client(): Downstream {
    return this.record.downstream;
  }

  get now(): number {
    return this.record.startTime;
  }

  get metadata(): DynamicMetadata | undefined {
    return this.record.dynamicMetadata;
  }

  /** Host and port of the authority, for a dynamic forward proxy; port 0 where it names none. */
  get target(): Address {
    const { host, port } = splitAuthority(this.head.authority, 0);
    return { ip: host, port };
  }

  /** Starts the exchange; called once, when the head is there. Whoever calls it calls `requestFlush` after it. */
  begin(): void {
    const { streamIdleMs, requestMs, maxStreamMs } = this.core.options;
    if (streamIdleMs > 0) this.setIdleTimeout(streamIdleMs);
    if (requestMs > 0 && !this.requestEnded) this.#timed().setRequest(requestMs);
    if (maxStreamMs > 0) this.setStreamDuration(maxStreamMs);
    this.#guarded(() => this.#begin());
  }

  #begin(): void {
    const { core, head, record, connection } = this;
    const refusal = prepareRequest(head, connection.downstream, core.options, core.deps.random) ?? unaudited(core.deps);
    if (head.client) record.downstream = copyDownstream(connection.downstream, undefined, head.client, undefined);
    if (refusal) {
      this.reply(refusal);
      return;
    }
    nameRequest(record, head);
    record.scheme = head.scheme;
    this.reroute();
    this.#runFilters();
  }

  reroute(): void {
    const { record } = this;
    const route = this.core.routes()?.match(this.head);
    this.route = route;
    record.routeName = route?.name ?? '';
    record.routeMetadata = route?.metadata?.filterMetadata;
  }

  /** Configuration that turns out wrong only now (a filter's settings on a route) costs the request, not the process. */
  #broken(error: unknown): void {
    this.core.deps.logger.warn(`request for ${this.head.authority}${this.head.path}: ${messageOf(error)}`);
    this.#changes = undefined;
    this.reply({ status: 500, body: '', details: 'internal_error' });
  }

  // --- filters

  #runFilters(): void {
    const { filters } = this.core;
    while (filters[this.#filter++]!.run(this) === 'continue') {
      // The last one stops.
    }
    const forward = this.#forward;
    const held = this.#held;
    if (forward === undefined || held === undefined) return;
    if (this.phase === 'done') return;
    forward.requestHeld(held.handOver(), this.requestEnded);
  }

  random(): number {
    return this.core.deps.random();
  }

  get tokens(): Tokens | undefined {
    return this.core.deps.tokens;
  }

  onResponse(mark: ResponseMark): void {
    this.#changes ??= new ResponseChanges();
    this.#changes.add(mark);
  }

  hold(ms: number, done: (over: boolean) => void): void {
    this.#waits().hold(ms, done);
  }

  ask(call: SideCall, done: (answer: SideAnswer | undefined) => void): void {
    this.#waits().ask(call, (answer) => this.#guarded(() => done(answer)));
  }

  credential(credential: AskedCredential, host: string, done: (value: Redacted | undefined) => void): void {
    this.#waits().credential(credential, host, (value) => this.#guarded(() => done(value)));
  }

  #waits(): FilterWait {
    this.#wait ??= new FilterWait(this.core);
    return this.#wait;
  }

  readBody(most: number, partial: boolean, done: (first: Buffer, more: boolean) => void): void {
    const refuse = (reply: LocalReply) => this.reply(reply);
    this.#heldBody().read({ most, partial, done: (first, more) => this.#guarded(() => done(first, more)), refuse }, this.requestEnded);
  }

  /** What a filter does later than when it is run. */
  #guarded(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#broken(error);
    }
  }

  proceed(): void {
    if (this.phase === 'done') return;
    this.#guarded(() => this.#runFilters());
    this.requestFlush();
  }

  forward(action: ForwardAction, settings: RouterSettings): void {
    const { core, record } = this;
    const choice = action.choose(this.head);
    const cluster = choice && core.deps.clusters.get(choice.cluster);
    const unbound = cluster && judgeBinding(this.route, cluster.config.metadata, this.downstream, this.head);
    const stray = cluster && this.injected && strayReply(this.injected, cluster.config);
    if (!choice || !cluster || unbound?.reply || stray) {
      this.reply(unbound?.reply ?? stray ?? noCluster(action));
      return;
    }
    if (unbound) record.connectionTerminationDetails = unbound.audit;
    nameCluster(record, cluster);
    core.deps.sink.begin?.(record);
    if (action.idleTimeoutMs !== undefined) this.setIdleTimeout(action.idleTimeoutMs);
    this.phase = 'forwarding';
    const forward = new Forward(this, action, choice, cluster, settings, this.requestEnded && this.#held === undefined);
    this.#forward = forward;
    forward.start();
  }

  // --- timeouts

  #timed(): StreamTimeouts {
    this.#timeouts ??= new StreamTimeouts(this, this.core.timers, this.core.deps.now);
    return this.#timeouts;
  }

  setIdleTimeout(ms: number): void {
    if (ms > 0) this.#timed().setIdle(ms);
    else this.#timeouts?.setIdle(0);
  }

  setStreamDuration(ms: number): void {
    if (ms > 0) this.#timed().setDuration(ms, this.record.started);
    else this.#timeouts?.setDuration(0, 0);
  }

  timedOut(what: StreamTimeout): void {
    this.reply(timeoutReply(what, this.requestEnded));
  }

  // --- the client

  requestData(data: Buffer): void {
    this.record.bytesReceived += data.length;
    if (this.phase === 'done') return;
    this.#timeouts?.active();
    if (this.#forward) {
      this.#forward.requestData(data);
      return;
    }
    this.#heldBody().add(data);
  }

  #heldBody(): HeldBody {
    this.#held ??= new HeldBody(this.stream);
    return this.#held;
  }

  requestEnd(trailers: HeaderMap | undefined): void {
    this.requestEnded = true;
    this.requestTrailers = trailers;
    if (this.phase === 'done') return;
    this.record.requestReceived = this.core.deps.now();
    this.#timeouts?.requestEnded();
    if (this.#forward) this.#forward.requestEnd();
    else this.#heldBody().end();
  }

  /** All that one read from the client brought has been told. */
  requestFlush(): void {
    this.#forward?.requestFlush();
  }

  /** The client takes more again. */
  downstreamDrained(): void {
    this.#forward?.downstreamDrained();
  }

  /** The client is gone, or its codec failed. */
  downstreamClosed(flag: ResponseFlag = 'DC', details = 'downstream_remote_disconnect'): void {
    if (this.phase === 'done') return;
    if (this.phase === 'responding' && hasWholeResponse(this.record, this.head)) {
      this.#complete();
      return;
    }
    this.addFlag(flag);
    this.record.responseCodeDetails = details;
    this.#finish();
  }

  // --- the response

  note(metadata: DynamicMetadata): void {
    this.record.dynamicMetadata = withMetadata(this.record.dynamicMetadata, metadata);
  }

  addFlag(flag: ResponseFlag): void {
    if (!this.record.flags.includes(flag)) this.record.flags.push(flag);
  }

  /** The head of the upstream's response. */
  respond(status: number, headers: HeaderMap, end: boolean): void {
    if (this.phase === 'done') return;
    const { record } = this;
    record.responseCode = status;
    record.responseCodeDetails = 'via_upstream';
    const opens = !end && (status === 101 || (this.head.method === 'CONNECT' && status < 300));
    this.#sendHead(status, headers, end, opens ? 'tunnel' : 'responding');
    if (end) this.#complete();
    this.#timeouts?.active();
  }

  respondInformational(status: number, headers: HeaderMap): void {
    // Who expects 100 has got it from the proxy, unless it is the upstream's to say. The others end here, as in Envoy.
    if (this.phase !== 'forwarding' || status !== 100 || !this.core.options.proxyContinue) return;
    if (this.injected) hideCredentials(headers, this.injected);
    this.stream.sendInformational(status, headers);
  }

  responseData(data: Buffer): void {
    if (this.phase === 'done') return;
    this.#timeouts?.active();
    this.#sendData(data, false);
  }

  /** `last`: nothing follows but trailers. */
  #sendData(data: Buffer, last: boolean): void {
    const sent = this.#changes ? this.#changes.encoded(data, last) : data;
    if (sent.length === 0) return;
    this.record.bytesSent += sent.length;
    this.stream.sendData(sent);
  }

  responseEnd(trailers: HeaderMap | undefined): void {
    if (this.phase === 'done') return;
    if (trailers && this.injected) hideCredentials(trailers, this.injected);
    this.record.responseTrailers = trailers;
    if (this.#changes) this.#sendData(NOTHING, true);
    this.stream.sendEnd(trailers);
    this.#complete();
  }

  responseFlush(): boolean {
    return this.stream.flush();
  }

  responseCut(flag: ResponseFlag, details: string): void {
    if (this.phase === 'done') return;
    this.addFlag(flag);
    this.record.responseCodeDetails = details;
    this.#finish();
    this.stream.reset();
  }

  /** Answers by itself; what was begun upstream is given up. After the head of a response has gone out, the stream is reset instead. */
  reply(reply: LocalReply): void {
    const { phase, record, head, stream } = this;
    if (phase === 'done') return;
    if (reply.flag) this.addFlag(reply.flag);
    record.responseCodeDetails = reply.details;
    if (phase === 'responding' || phase === 'tunnel') {
      this.#finish();
      stream.reset();
      return;
    }
    if (record.upstreamCluster === '') nameRouteCluster(record, this.route, head, this.core.deps.clusters);
    const ofRoute = replyHeaders(reply, this.route, this.#forward?.choice, record);
    const { status, headers, body, trailersOnly } = localReply(head.headers, reply, ofRoute);
    // gRPC clients are told in the header; logs keep what HTTP would have said only through grpc-status.
    record.responseCode = status;
    // The rest of the request will not be read; and after a message that is wrong, none is trusted.
    if (!this.requestEnded || reply.status === 400) stream.closeAfterResponse();
    const withoutBody = trailersOnly || body.length === 0 || head.method === 'HEAD';
    this.#sendHead(status, headers, withoutBody, 'responding');
    if (!withoutBody) {
      this.#sendData(body, true);
      stream.sendEnd(undefined);
    }
    this.#complete();
    stream.flush();
  }

  #sendHead(status: number, headers: HeaderMap, end: boolean, phase: 'responding' | 'tunnel'): void {
    const { core, record } = this;
    this.#changes?.head(headers, status, end || phase === 'tunnel');
    prepareResponse(headers, this.head.headers, this.route, core.options, core.deps.direction, core.date(), this.hashCookie);
    this.phase = phase;
    record.responseHeaders = headers;
    this.stream.sendHead(status, headers, end);
  }

  /** The client has the whole response. */
  #complete(): void {
    this.record.responseEnded = this.core.deps.now();
    this.#finish();
  }

  #finish(): void {
    if (this.phase === 'done') return;
    this.phase = 'done';
    const { core, record, head } = this;
    this.#timeouts?.end();
    this.#held = this.#held?.release();
    this.#forward?.abandon();
    this.#wait?.end();
    this.#changes?.close();
    nameRequest(record, head);
    record.ended = record.responseEnded || core.deps.now();
    core.deps.sink.record(record);
    if (head.trace?.sampled) core.tracer?.record(record, head.trace, this.route?.decoratorOperation ?? '');
  }
}
