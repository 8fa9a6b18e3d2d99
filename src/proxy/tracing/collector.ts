/** Sends spans to a collector over OTLP, in batches. What it does not take in time is dropped, and counted: traffic never waits for it. */
import { create, toBinary } from '@bufbuild/protobuf';
import type { SideAnswer, SideCall } from '../../http/ext-authz/side-call.ts';
import { HeaderMap } from '../../http/header-map.ts';
import type { CollectorTarget } from '../../http/tracing/settings.ts';
import { attribute } from '../../http/tracing/span.ts';
import { prefixOf } from '../../lib/grpc/messages.ts';
import { ExportTraceServiceRequestSchema, type Span } from '../../xds/gen/opentelemetry/trace_pb.js';
import type { Counter } from '../stats/registry.ts';

export interface CollectorOptions {
  readonly target: CollectorTarget;
  readonly serviceName: string;
  readonly ask: (call: SideCall, done: (answer: SideAnswer | undefined) => void) => void;
  readonly sent: Counter;
  readonly dropped: Counter;
}

/** Spans of one message. */
const BATCH = 100;
/** Spans that wait, those on the way included. */
const MOST = 2048;
/** From a span to the message that it goes with, ms. */
const DELAY_MS = 1000;
/** For one message where the configuration says nothing, ms. */
const TIMEOUT_MS = 10_000;
/** Times that a message is sent. */
const TRIES = 3;

export class Collector {
  readonly #options: CollectorOptions;
  #waiting: Span[] = [];
  /** What is on its way. */
  #batch: readonly Span[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  add(span: Span): void {
    if (this.#waiting.length + this.#batch.length >= MOST) {
      this.#options.dropped.value++;
      return;
    }
    this.#waiting.push(span);
    if (this.#batch.length > 0) return;
    if (this.#waiting.length >= BATCH) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), DELAY_MS).unref();
  }

  /** Sends what waits, unless something is on its way. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#batch.length > 0 || this.#waiting.length === 0) return;
    this.#batch = this.#waiting.splice(0, BATCH);
    this.#send(1);
  }

  #send(time: number): void {
    const { ask, sent, dropped } = this.#options;
    const batch = this.#batch;
    ask(this.#call(batch), (answer) => {
      if (!isTaken(answer) && time < TRIES) {
        setTimeout(() => this.#send(time + 1), DELAY_MS * time).unref();
        return;
      }
      (isTaken(answer) ? sent : dropped).value += batch.length;
      this.#batch = [];
      if (this.#waiting.length >= BATCH) this.flush();
      else if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.flush(), DELAY_MS).unref();
    });
  }

  #call(spans: readonly Span[]): SideCall {
    const { target, serviceName } = this.#options;
    const resource = { attributes: [attribute('service.name', serviceName)] };
    const request = create(ExportTraceServiceRequestSchema, { resourceSpans: [{ resource, scopeSpans: [{ spans: [...spans] }] }] });
    const message = toBinary(ExportTraceServiceRequestSchema, request);
    const { cluster, authority, path, grpc } = target;
    const timeoutMs = target.timeoutMs || TIMEOUT_MS;
    const headers = new HeaderMap(
      grpc ? ['te', 'trailers', 'content-type', 'application/grpc'] : ['content-type', 'application/x-protobuf'],
    );
    const body = grpc ? Buffer.concat([prefixOf(message), message]) : Buffer.from(message);
    if (!grpc) headers.append('content-length', String(body.length));
    for (const [name, value] of target.headers) headers.set(name, value);
    return { cluster, method: 'POST', path, authority, scheme: 'http', headers, body, timeoutMs };
  }
}

function isTaken(answer: SideAnswer | undefined): boolean {
  if (answer === undefined || answer.status < 200 || answer.status > 299) return false;
  const status = answer.trailers?.get('grpc-status') ?? answer.headers.get('grpc-status');
  return status === undefined || status === '0';
}
