/** What travels of a trace from hop to hop: W3C's `traceparent` and `tracestate`, and who decides whether a request is recorded, as Envoy does. */
import type { HeaderMap } from '../header-map.ts';

/** A request's part in a trace. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** Of the span before, 16 hexadecimal digits; empty at the beginning of a trace. */
  readonly parentId: string;
  /** Of this hop's span, 16 hexadecimal digits. */
  readonly spanId: string;
  /** Of the call to the server, where that has a span of its own; else empty. */
  readonly upstreamId: string;
  /** Whether the span is reported. */
  readonly sampled: boolean;
  /** `tracestate` as it came. */
  readonly state: string;
  /** What the hop before calls the operation (`x-envoy-decorator-operation`), which goes no further. */
  operation: string | undefined;
}

export interface SamplingOptions {
  /** Of requests that nobody has decided about, in ten thousandths. */
  readonly random: number;
  /** Requests that their client (`x-client-trace-id`) or the mesh (`x-envoy-force-trace`) wants recorded are, in ten thousandths of them. */
  readonly client: number;
  readonly overall: number;
  /** Hops agree by the digits of `x-request-id`, which also carry the decision; else each decides for itself. */
  readonly byRequestId: boolean;
  /** Calls to servers have spans of their own. */
  readonly upstreamSpans: boolean;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/i;
const NOTHING = /^0+$/;
const SAMPLED = 1;

/**
 * The part that a request has in the trace that it comes with, or in a new one. Undefined where what it comes with can't be read: it is passed on as it is.
 * Notes the decision in `x-request-id`. `random`: integers, 0 ≤ n < 2^53.
 */
export function traceOf(headers: HeaderMap, options: SamplingOptions, random: () => number): TraceContext | undefined {
  const chosen = isChosen(headers, options, random);
  const given = headers.get('traceparent');
  const parent = given === undefined ? undefined : parentIn(given);
  if (given !== undefined && !parent) return undefined;
  return {
    traceId: parent?.traceId ?? hexId(random) + hexId(random),
    parentId: parent?.parentId ?? '',
    spanId: hexId(random),
    upstreamId: options.upstreamSpans ? hexId(random) : '',
    // Who began the trace has decided for all.
    sampled: parent?.sampled ?? chosen,
    state: (parent && headers.get('tracestate')) ?? '',
    operation: undefined,
  };
}

function parentIn(traceparent: string): Pick<TraceContext, 'traceId' | 'parentId' | 'sampled'> | undefined {
  const [, version, traceId, parentId, flags] = TRACEPARENT.exec(traceparent) ?? [];
  if (!traceId || !parentId || version === 'ff' || NOTHING.test(traceId) || NOTHING.test(parentId)) return undefined;
  return { traceId, parentId, sampled: (Number.parseInt(flags!, 16) & SAMPLED) !== 0 };
}

export function injectTrace(headers: HeaderMap, { traceId, spanId, upstreamId, sampled, state }: TraceContext): void {
  headers.set('traceparent', `00-${traceId}-${upstreamId || spanId}-${sampled ? '01' : '00'}`);
  // As Envoy, also where there is none.
  headers.set('tracestate', state);
}

/** Where in a UUID Envoy notes why it is recorded; a random one of version 4 has a 4 there. */
const REASON_AT = 14;
const REASON = { none: '4', sampled: '9', forced: 'a', client: 'b' } as const;
const UUID_LENGTH = 36;

function isChosen(headers: HeaderMap, options: SamplingOptions, random: () => number): boolean {
  const id = headers.get('x-request-id');
  const uuid = id?.length === UUID_LENGTH ? id : undefined;
  const stable = uuid === undefined ? Number.NaN : Number.parseInt(uuid.slice(0, 8), 16);
  if (options.byRequestId && Number.isNaN(stable)) return false;
  const draw = options.byRequestId ? stable : random();
  const among = (tenThousandths: number) => draw % 10_000 < tenThousandths;
  const before = uuid?.[REASON_AT];
  let reason: string = before === REASON.sampled || before === REASON.forced || before === REASON.client ? before : REASON.none;
  if (reason === REASON.none) {
    if (headers.has('x-client-trace-id') && among(options.client)) reason = REASON.client;
    else if (headers.has('x-envoy-force-trace')) reason = REASON.forced;
    else if (among(options.random)) reason = REASON.sampled;
  }
  if (reason !== REASON.none && !among(options.overall)) reason = REASON.none;
  if (uuid !== undefined && reason !== before)
    headers.set('x-request-id', `${uuid.slice(0, REASON_AT)}${reason}${uuid.slice(REASON_AT + 1)}`);
  return reason !== REASON.none;
}

/** 16 hexadecimal digits that are not all zero: two draws, as one has 53 bits. */
function hexId(random: () => number): string {
  const high = random() >>> 0;
  const low = (random() >>> 0) | (high === 0 ? 1 : 0);
  return hex32(high) + hex32(low >>> 0);
}

function hex32(n: number): string {
  return n.toString(16).padStart(8, '0');
}
