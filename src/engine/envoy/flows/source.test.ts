import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { MOST_RECENT, type ProxyFlow } from '../../../flows/flow.ts';
import { AccessLogType } from '../../../xds/gen/envoy/data/accesslog/v3/accesslog_pb.js';
import { StreamAccessLogsMessageSchema } from '../../../xds/gen/envoy/service/accesslog/v3/als_pb.js';
import { EnvoyFlows } from './source.ts';

const { DownstreamStart, DownstreamEnd } = AccessLogType;
const NOW = Date.UTC(2026, 0, 2);

interface Told {
  readonly id: string;
  readonly type: AccessLogType;
  readonly startMs?: number;
  readonly path?: string;
}

function message(...entries: readonly Told[]): Uint8Array {
  const logEntry = entries.map(({ id, type, startMs = NOW, path = '/' }) => ({
    commonProperties: { accessLogType: type, startTime: timestampFromMs(startMs), customTags: { cluster: 'c', connection: id } },
    request: { authority: 'www.example.com', path, scheme: 'http' },
  }));
  return toBinary(
    StreamAccessLogsMessageSchema,
    create(StreamAccessLogsMessageSchema, { logEntries: { case: 'httpLogs', value: { logEntry } } }),
  );
}

function connectionIn(id: string): string {
  return id.replace(/-.*/, '');
}

function setUp() {
  const counts = { written: 0, dropped: 0 };
  const flows = new EnvoyFlows({
    workload: 'default/local',
    nameOf: () => undefined,
    date: () => NOW,
    tellAll: async () => {},
    counted: async () => ({ ...counts }),
  });
  const told: ProxyFlow[] = [];
  const lost: number[] = [];
  const watch = () =>
    flows.watchFlows(
      (flow) => void told.push(flow),
      (count) => void lost.push(count),
    );
  return { flows, counts, told, lost, watch, short: () => told.map(({ kind, id }) => `${kind} ${connectionIn(id)}`) };
}

test('a call begins once: with its own entry, or where it ends; one from before only ends', async () => {
  const { flows, watch, short } = setUp();
  await watch();
  flows.take(message({ id: 'a', type: DownstreamStart }, { id: 'old', type: DownstreamStart, startMs: NOW - 1 }));
  flows.take(
    message({ id: 'old', type: DownstreamEnd, startMs: NOW - 1 }, { id: 'b', type: DownstreamEnd }, { id: 'a', type: DownstreamEnd }),
  );
  assert.deepEqual(short(), ['begin a', 'end old', 'begin b', 'end b', 'end a']);
  flows.close();
});

test('an entry that cannot be read costs no other, and is counted', async (t) => {
  const { flows, lost, watch, short } = setUp();
  t.after(() => flows.close());
  await watch();
  const bytes = Buffer.from(message({ id: 'a', type: DownstreamEnd, path: '/BROKEN' }, { id: 'b', type: DownstreamEnd }));
  bytes[bytes.indexOf('BROKEN')] = 0xff;
  flows.take(bytes);
  assert.deepEqual(short(), ['begin b', 'end b']);
  assert.deepEqual(lost, [1]);
  assert.equal((await flows.recentFlows()).length, 1);
});

test('of calls that nobody watched the last ones are remembered, in bounded memory', async () => {
  const { flows, told } = setUp();
  for (let i = 0; i < 5000; i++) flows.take(message({ id: String(i), type: DownstreamEnd, path: `/${'x'.repeat(1000)}` }));
  const recent = await flows.recentFlows();
  assert.equal(recent.length, MOST_RECENT);
  assert.equal(connectionIn(recent.at(-1)!.id), '4999');
  assert.deepEqual(told, []);
});

test('what Envoy gave up since somebody watches is told, and no longer once nobody does', async () => {
  const { flows, counts, lost, watch } = setUp();
  counts.dropped = 7;
  await watch();
  await flows.tellLost();
  counts.dropped = 10;
  await flows.tellLost();
  await flows.tellLost();
  assert.deepEqual(lost, [3]);
  flows.close();
});

test('the last entries are waited for while somebody watches', async () => {
  const { flows, counts, told, watch } = setUp();
  await watch();
  counts.written = 2;
  const complete = flows.complete(60_000);
  flows.take(message({ id: 'a', type: DownstreamStart }, { id: 'a', type: DownstreamEnd }));
  await complete;
  assert.equal(told.length, 2);
  await flows.watchFlows(undefined, () => {});
  counts.written = 100;
  await flows.complete(60_000);
});
