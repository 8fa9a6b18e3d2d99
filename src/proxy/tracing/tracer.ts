/** Makes spans of the finished requests of one connection manager. */

import type { FormatRecord } from '../../http/format/record.ts';
import type { Direction } from '../../http/response.ts';
import type { SideAnswer, SideCall } from '../../http/side-call.ts';
import type { TraceContext } from '../../http/tracing/context.ts';
import type { TracingOptions } from '../../http/tracing/settings.ts';
import { customTag, type SpanOptions, spansOf } from '../../http/tracing/span.ts';
import type { Span } from '../../xds/gen/opentelemetry/trace_pb.js';
import { Exporter } from '../exporter.ts';
import type { StatsRegistry } from '../stats/index.ts';
import { spansCall, spansTaken } from './collector.ts';

export interface TracersOptions {
  readonly ask: (call: SideCall, done: (answer: SideAnswer | undefined) => void) => void;
  readonly registry: StatsRegistry;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Tags of every span. */
  readonly always: SpanOptions['always'];
}

export class Tracer {
  readonly #options: SpanOptions;
  readonly #collector: Exporter<Span>;

  constructor(options: SpanOptions, collector: Exporter<Span>) {
    this.#options = options;
    this.#collector = collector;
  }

  /** @param operation what the route calls it; empty for nothing */
  record(record: FormatRecord, trace: TraceContext, operation: string): void {
    for (const span of spansOf(record, trace, operation, this.#options)) this.#collector.add(span);
  }
}

/** The tracers of one thread: those that send to the same collector share its batches. */
export class Tracers {
  readonly #options: TracersOptions;
  readonly #collectors = new Map<string, Exporter<Span>>();

  constructor(options: TracersOptions) {
    this.#options = options;
  }

  /** Undefined where spans are reported nowhere. */
  tracer({ target, serviceName, tags, mostOfPath }: TracingOptions, direction: Direction): Tracer | undefined {
    if (!target) return undefined;
    const { ask, registry, environment, always } = this.#options;
    const key = JSON.stringify([target, serviceName]);
    let collector = this.#collectors.get(key);
    if (!collector) {
      const [sent, dropped] = [
        registry.counter('tracing.opentelemetry.spans_sent'),
        registry.counter('tracing.opentelemetry.spans_dropped'),
      ];
      const callOf = (spans: readonly Span[]) => spansCall(spans, target, serviceName);
      collector = new Exporter({ callOf, isTaken: spansTaken, ask, sent, dropped });
      this.#collectors.set(key, collector);
    }
    return new Tracer({ direction, mostOfPath, always, tags: tags.map((tag) => customTag(tag, environment)) }, collector);
  }

  /** What waits is sent; nobody waits for the answer. */
  close(): void {
    for (const collector of this.#collectors.values()) collector.flush();
  }
}
