import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { HTTPFaultSchema } from '../../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import type { Head } from '../head.ts';
import { HeaderMap } from '../header-map.ts';
import type { LocalReply } from '../local-reply.ts';
import { FaultFilter } from './fault.ts';
import type { FilterStream } from './filter.ts';

const ALWAYS = { numerator: 100 };
const DELAY: JsonObject = { delay: { fixedDelay: '2s', percentage: ALWAYS } };
const ABORT: JsonObject = { abort: { httpStatus: 418, percentage: ALWAYS } };

const filterOf = (config: JsonObject) => new FaultFilter('fault', fromJson(HTTPFaultSchema, config), 'here');

interface Asked {
  readonly headers?: string[];
  /** Where its route leads; undefined for a direct response. */
  readonly cluster?: string;
  /** What its route says of the filter. */
  readonly route?: JsonObject | 'disabled';
}

/** One request at the filter: what was done with it, in order, and the delay that it waits in. */
function runAt(filter: FaultFilter, { headers = [], cluster = 'c', route }: Asked = {}) {
  const done: string[] = [];
  const held: { end: (over: boolean) => void }[] = [];
  const own = typeof route === 'object' ? fromJson(HTTPFaultSchema, route) : route;
  const stream = {
    head: { headers: new HeaderMap(headers) } as unknown as Head,
    route: { filterConfig: () => own, action: { kind: 'forward', choose: () => ({ cluster }) } },
    random: () => 0,
    addFlag: (flag: string) => done.push(flag),
    reply: ({ status, grpcStatus }: LocalReply) => done.push(grpcStatus === undefined ? `${status}` : `${status} gRPC ${grpcStatus}`),
    hold: (ms: number, end: (over: boolean) => void) => {
      done.push(`${ms} ms`);
      held.push({ end });
    },
    proceed: () => done.push('on'),
  } as unknown as FilterStream;
  const status = filter.run(stream);
  return { status, done, end: (over: boolean) => held[0]!.end(over) };
}

test('a request is delayed, and goes on then', () => {
  const { status, done, end } = runAt(filterOf(DELAY));
  assert.equal(status, 'stop');
  assert.deepEqual(done, ['DI', '2000 ms']);
  end(false);
  assert.deepEqual(done.slice(2), ['on']);
});

test('a request is answered, at once or after its delay', () => {
  const { status, done } = runAt(filterOf(ABORT));
  assert.deepEqual([status, done], ['stop', ['418']]);
  const both = runAt(filterOf({ ...DELAY, ...ABORT }));
  assert.deepEqual(both.done, ['DI', '2000 ms']);
  both.end(false);
  assert.deepEqual(both.done.slice(2), ['418']);
  assert.deepEqual(runAt(filterOf({ abort: { grpcStatus: 14, percentage: ALWAYS } })).done, ['200 gRPC 14']);
});

test('of a request that ended while it was delayed nothing more is heard', () => {
  for (const config of [DELAY, { ...DELAY, ...ABORT }]) {
    const { done, end } = runAt(filterOf(config));
    end(true);
    assert.deepEqual(done, ['DI', '2000 ms']);
  }
});

test('as many are delayed at a time as max_active_faults says, and others pass untouched', () => {
  const filter = filterOf({ ...DELAY, ...ABORT, maxActiveFaults: 1 });
  const first = runAt(filter);
  const second = runAt(filter);
  assert.deepEqual([second.status, second.done], ['continue', []]);
  first.end(true);
  assert.equal(runAt(filter).status, 'stop');
});

test('without a percentage, a time or a status nothing happens', () => {
  const configs: readonly JsonObject[] = [
    {},
    { delay: { fixedDelay: '2s' } },
    { delay: { fixedDelay: '0s', percentage: ALWAYS } },
    { abort: { httpStatus: 418 } },
    { delay: { fixedDelay: '2s', percentage: { numerator: 0 } }, abort: { httpStatus: 418, percentage: { numerator: 0 } } },
  ];
  for (const config of configs) {
    const { status, done } = runAt(filterOf(config));
    assert.deepEqual([status, done], ['continue', []], JSON.stringify(config));
  }
});

test('it concerns requests with its headers, and to its cluster', () => {
  const stopped = (config: JsonObject, asked: Asked) => runAt(filterOf({ ...ABORT, ...config }), asked).status === 'stop';
  const headers = { headers: [{ name: 'x-user', stringMatch: { exact: 'me' } }] };
  assert.equal(stopped(headers, { headers: ['x-user', 'me'] }), true);
  assert.equal(stopped(headers, { headers: ['x-user', 'you'] }), false);
  assert.equal(stopped({ upstreamCluster: 'c' }, {}), true);
  assert.equal(stopped({ upstreamCluster: 'c' }, { cluster: 'other' }), false);
});

test('what the route says stands in place of what the filter says', () => {
  assert.deepEqual(runAt(filterOf({}), { route: ABORT }).done, ['418']);
  assert.deepEqual(runAt(filterOf(ABORT), { route: {} }).done, []);
  assert.deepEqual(runAt(filterOf(ABORT), { route: 'disabled' }).done, []);
});

test('a judgement says what may happen, how often and whether to all', () => {
  const judged = (config: JsonObject) => {
    const stream = { head: { headers: new HeaderMap(['x', '1']) }, route: undefined };
    return filterOf(config).judge(stream as unknown as FilterStream);
  };
  const { delay, answer } = judged({ delay: { fixedDelay: '2s', percentage: { numerator: 25 } }, ...ABORT });
  assert.deepEqual([delay?.ms, delay?.chance.share], [2000, 0.25]);
  assert.deepEqual([answer?.reply.status, answer?.chance.share, answer?.always, answer?.because()], [418, 1, true, 'a fault answers 418']);
  assert.equal(judged({ ...ABORT, headers: [{ name: 'x', presentMatch: true }] }).answer?.always, false);
  assert.equal(judged({ ...ABORT, headers: [{ name: 'y', presentMatch: true }] }).answer, undefined);
});

test('what it does not do is refused by name', () => {
  for (const [config, field] of [
    [{ responseRateLimit: { headerLimit: {} } }, 'response_rate_limit'],
    [{ delay: { headerDelay: {} } }, 'header_delay'],
    [{ abort: { headerAbort: {} } }, 'header_abort'],
  ] as const)
    assert.throws(() => filterOf(config), { code: 'xds-unsupported', message: `here: ${field} is not supported` });
});
