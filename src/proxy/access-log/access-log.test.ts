import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { SAMPLE_RECORD } from '../../http/format/testing.ts';
import { HeaderMap } from '../../http/header-map.ts';
import { type AccessLog, AccessLogSchema } from '../../xds/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import { typeRegistry } from '../../xds/type-registry.ts';
import type { AccessRecord } from '../types.ts';
import { LogFiles } from './files.ts';
import { createAccessLogSink } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-log-'));
after(() => rmSync(folder, { recursive: true }));

const FILE = 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog';
const record = (fields: Partial<AccessRecord> = {}): AccessRecord => ({ ...(SAMPLE_RECORD as unknown as AccessRecord), ...fields });
const parse = (json: JsonObject): AccessLog => fromJson(AccessLogSchema, json, { registry: typeRegistry });
const logTo = (path: string, format: JsonObject, filter?: JsonObject) =>
  parse({ name: 'file', ...(filter ? { filter } : {}), typedConfig: { '@type': FILE, path, ...format } });
const contextOf = (files: LogFiles) => ({ hostname: 'h', environment: {}, files, random: () => 5 });

test('text and JSON lines go to their files', async () => {
  const files = new LogFiles();
  const [text, json] = [join(folder, 'text.log'), join(folder, 'json.log')];
  const sink = createAccessLogSink(
    [
      logTo(text, { logFormat: { textFormatSource: { inlineString: '%REQ(:METHOD)% %RESPONSE_CODE%\n' } } }),
      logTo(json, { logFormat: { jsonFormat: { code: '%RESPONSE_CODE%', flags: '%RESPONSE_FLAGS%' } } }),
    ],
    contextOf(files),
  );
  sink.record(record());
  sink.record(record({ responseCode: 503, flags: ['UF', 'URX'] }));
  await files.flush();
  assert.equal(readFileSync(text, 'utf8'), 'GET 200\nGET 503\n');
  assert.equal(readFileSync(json, 'utf8'), '{"code":200,"flags":"-"}\n{"code":503,"flags":"UF,URX"}\n');
  assert.deepEqual(files.counts, { dropped: 0, written: 4 });
  files.closeSync();
});

test('a rotated file is left when the files are opened anew; what waits is written at the end', async () => {
  const files = new LogFiles({ flushAfterMs: 60_000 });
  const path = join(folder, 'rotated.log');
  const writer = files.open(path);
  writer.write('one\n');
  await files.flush();
  renameSync(path, `${path}.1`);
  await files.reopen();
  writer.write('two\n');
  files.closeSync();
  assert.equal(readFileSync(`${path}.1`, 'utf8'), 'one\n');
  assert.equal(readFileSync(path, 'utf8'), 'two\n');
});

test('lines beyond the bound are dropped and counted', async () => {
  const files = new LogFiles({ maxPending: 10, flushAfterMs: 60_000 });
  const path = join(folder, 'bounded.log');
  const writer = files.open(path);
  for (const line of ['12345\n', 'abc\n', 'too much\n']) writer.write(line);
  await files.flush();
  assert.deepEqual(files.counts, { dropped: 1, written: 2 });
  assert.equal(readFileSync(path, 'utf8'), '12345\nabc\n');
  files.closeSync();
});

test('lines that come while others are written follow them; a pipe gets whole lines', async () => {
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const files = new LogFiles();
  const writer = files.open(fifo);
  const lines = Array.from({ length: 400 }, (_, i) => `${i} ${'x'.repeat(i % 300)}\n`);
  const long = `${'y'.repeat(9000)}\n`;
  for (const line of lines) writer.write(line);
  const first = files.flush();
  writer.write(long);
  const expected = lines.join('') + long;
  let got = '';
  const buffer = Buffer.alloc(64 * 1024);
  while (got.length < expected.length) {
    await new Promise((resolve) => setImmediate(resolve));
    try {
      got += buffer.toString('utf8', 0, readSync(reader, buffer));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
    }
  }
  assert.equal(got, expected);
  await first;
  files.closeSync();
  closeSync(reader);
});

test('what comes while lines are written waits for others, and is not a batch by itself', async () => {
  const files = new LogFiles({ flushAfterMs: 60_000 });
  const path = join(folder, 'batches.log');
  const writer = files.open(path);
  writer.write('one\n');
  const first = files.flush();
  writer.write('two\n');
  await first;
  assert.equal(files.counts.written, 1);
  writer.write('three\n');
  await files.flush();
  assert.deepEqual([files.counts.written, readFileSync(path, 'utf8')], [3, 'one\ntwo\nthree\n']);
  files.closeSync();
});

test('a failing file is reported once and takes nothing down', async () => {
  const errors: string[] = [];
  const files = new LogFiles({ onError: (path, reason) => errors.push(`${path}: ${reason}`) });
  const writer = files.open('/dev/full');
  writer.write('x\n');
  await files.flush();
  writer.write('y\n');
  await files.flush();
  assert.equal(errors.length, 1);
  assert.match(errors[0]!, /^\/dev\/full: .*ENOSPC/);
  files.closeSync();
  assert.throws(() => files.open(join(folder, 'no', 'such', 'folder.log')), {
    code: 'access-log-unwritable',
    message: /folder\.log for appending: /,
  });
});

test('filters', async () => {
  const path = join(folder, 'filtered.log');
  const passes = async (filter: JsonObject, fields: Partial<AccessRecord> = {}) => {
    rmSync(path, { force: true });
    const files = new LogFiles();
    createAccessLogSink([logTo(path, { logFormat: { textFormat: 'x\n' } }, filter)], contextOf(files)).record(record(fields));
    await files.flush();
    files.closeSync();
    return readFileSync(path, 'utf8') === 'x\n';
  };
  const status = (op: string, defaultValue: number) => ({
    statusCodeFilter: { comparison: { op, value: { defaultValue, runtimeKey: 'k' } } },
  });
  assert.equal(await passes(status('GE', 400)), false);
  assert.equal(await passes(status('GE', 400), { responseCode: 400 }), true);
  assert.equal(await passes(status('LE', 200)), true);
  assert.equal(await passes(status('EQ', 201)), false);
  assert.equal(await passes({ durationFilter: { comparison: { op: 'GE', value: { defaultValue: 12, runtimeKey: 'k' } } } }), true);
  assert.equal(await passes({ responseFlagFilter: {} }), false);
  assert.equal(await passes({ responseFlagFilter: { flags: ['NR'] } }, { flags: ['UF'] }), false);
  assert.equal(await passes({ responseFlagFilter: { flags: ['NR', 'UF'] } }, { flags: ['UF'] }), true);
  assert.equal(await passes({ headerFilter: { header: { name: 'user-agent', stringMatch: { prefix: 'curl' } } } }), true);
  assert.equal(await passes({ headerFilter: { header: { name: 'user-agent' } } }, { requestHeaders: new HeaderMap() }), false);
  assert.equal(await passes({ orFilter: { filters: [status('EQ', 1), status('EQ', 200)] } }), true);
  assert.equal(await passes({ andFilter: { filters: [status('EQ', 1), status('EQ', 200)] } }), false);
  assert.equal(await passes({ grpcStatusFilter: { statuses: ['UNAVAILABLE'] } }, { responseCode: 503 }), true);
  assert.equal(await passes({ grpcStatusFilter: { statuses: ['UNAVAILABLE'], exclude: true } }, { responseCode: 503 }), false);
  assert.equal(await passes({ runtimeFilter: { runtimeKey: 'k', percentSampled: { numerator: 5 } } }), false);
  assert.equal(await passes({ runtimeFilter: { runtimeKey: 'k', percentSampled: { numerator: 6 } } }), true);
  assert.equal(await passes({ logTypeFilter: { types: ['TcpConnectionEnd'] } }), false);
  assert.equal(await passes({ notHealthCheckFilter: {} }), true);
});

test('what is not known is refused, and leaves no file behind', () => {
  const files = new LogFiles();
  const refused = (config: AccessLog, code: string) => assert.throws(() => createAccessLogSink([config], contextOf(files)), { code });
  refused(parse({ name: 'x', typedConfig: { '@type': 'type.googleapis.com/google.protobuf.Empty' } }), 'xds-unsupported');
  refused(parse({ name: 'x' }), 'xds-unsupported');
  refused(logTo(join(folder, 'none.log'), { logFormat: { textFormat: '%NOPE%' } }), 'xds-unsupported');
  refused(logTo(join(folder, 'none.log'), {}, { traceableFilter: {} }), 'xds-unsupported');
  refused(logTo(join(folder, 'none.log'), {}, { responseFlagFilter: { flags: ['ZZ'] } }), 'xds-invalid');
  refused(logTo(join(folder, 'none.log'), { logFormat: { textFormat: 'x', formatters: [{ name: 'cel' }] } }), 'xds-unsupported');
  refused(logTo('', {}), 'xds-invalid');
  assert.throws(() => readFileSync(join(folder, 'none.log')), { code: 'ENOENT' });
});
