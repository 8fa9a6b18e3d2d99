/** Who is traced, and what travels of a trace. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderMap } from '../header-map.ts';
import { injectTrace, type SamplingOptions, traceOf } from './context.ts';

const ALL: SamplingOptions = { random: 10_000, client: 10_000, overall: 10_000, byRequestId: true, upstreamSpans: false };
const NONE: SamplingOptions = { ...ALL, random: 0 };
// The first eight digits are the number by which it is chosen: 2 of ten thousand.
const ID = '00000002-1111-4111-8111-111111111111';
const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

let last = 0;
const random = () => (last = (last * 69_069 + 12_345) % 2 ** 32);
const headersOf = (fields: Readonly<Record<string, string>>) => new HeaderMap(Object.entries({ 'x-request-id': ID, ...fields }).flat());
const reasonIn = (headers: HeaderMap) => headers.get('x-request-id')?.[14];

test('the request id decides, and carries what was decided to the next hop', () => {
  for (const [options, fields, reason] of [
    [ALL, {}, '9'],
    [NONE, {}, '4'],
    [{ ...ALL, random: 3 }, {}, '9'],
    [{ ...ALL, random: 2 }, {}, '4'],
    [NONE, { 'x-client-trace-id': 'me' }, 'b'],
    [NONE, { 'x-envoy-force-trace': 'true' }, 'a'],
    [{ ...ALL, overall: 0 }, {}, '4'],
  ] as const) {
    const headers = headersOf(fields);
    const trace = traceOf(headers, options, random)!;
    assert.equal(reasonIn(headers), reason);
    assert.equal(trace.sampled, reason !== '4');
    assert.equal(traceOf(headers, NONE, random)!.sampled, reason !== '4', 'the next hop decides the same');
  }
});

test('without a request id nothing is chosen, unless each hop decides for itself', () => {
  for (const id of ['', 'short', 'zzzzzzzz-1111-4111-8111-111111111111']) {
    assert.equal(traceOf(headersOf({ 'x-request-id': id }), ALL, random)!.sampled, false);
    assert.equal(traceOf(headersOf({ 'x-request-id': id }), { ...ALL, byRequestId: false }, random)!.sampled, true);
  }
});

test('a request goes on in the trace that it comes with, as that was decided', () => {
  for (const [flags, sampled] of [
    ['01', true],
    ['00', false],
    ['03', true],
  ] as const) {
    const headers = headersOf({ traceparent: PARENT.replace(/01$/, flags), tracestate: 'vendor=1' });
    const trace = traceOf(headers, sampled ? NONE : ALL, random)!;
    assert.deepEqual([trace.traceId, trace.parentId, trace.sampled], ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331', sampled]);
    injectTrace(headers, trace);
    assert.equal(headers.get('traceparent'), `00-0af7651916cd43dd8448eb211c80319c-${trace.spanId}-${sampled ? '01' : '00'}`);
    assert.equal(headers.get('tracestate'), 'vendor=1');
  }
});

test('what can’t be read of a trace is passed on as it is', () => {
  for (const text of [
    '',
    '00',
    PARENT.slice(1),
    `${PARENT}-x`,
    PARENT.replace('00-', 'ff-'),
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `00-${'a'.repeat(32)}-${'0'.repeat(16)}-01`,
    PARENT.replace('b7', 'g7'),
  ])
    assert.equal(traceOf(headersOf({ traceparent: text }), ALL, random), undefined, text);
});

test('ids are never zero, and calls to servers may have their own', () => {
  const trace = traceOf(headersOf({}), { ...ALL, upstreamSpans: true }, () => 0)!;
  for (const id of [trace.traceId, trace.spanId, trace.upstreamId]) assert.doesNotMatch(id, /^0+$/);
  const own = traceOf(headersOf({}), { ...ALL, upstreamSpans: true }, random)!;
  const headers = headersOf({});
  injectTrace(headers, own);
  assert.match(headers.get('traceparent')!, new RegExp(`^00-[0-9a-f]{32}-${own.upstreamId}-01$`));
});
