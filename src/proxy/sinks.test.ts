import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromJson } from '@bufbuild/protobuf';
import { SAMPLE_RECORD } from '../http/format/testing.ts';
import { AccessLogSchema } from '../xds/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import { typeRegistry } from '../xds/type-registry.ts';
import type { Clusters } from './cluster/manager.ts';
import { Sinks } from './sinks.ts';
import { printPrometheus, printText } from './stats/index.ts';
import type { AccessRecord } from './types.ts';

const printed = (print: typeof printPrometheus, ...args: Parameters<typeof printPrometheus>) => [...print(...args)].join('');

test('a record goes to the log, to the counters and to the metrics of Istio', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-sinks-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'access.log');
  const metadata = { filterMetadata: { istio: { services: [{ host: 'www.example.com', name: 'www', namespace: 'ext' }] } } };
  const clusters = { get: () => ({ config: { metadata } }) } as unknown as Clusters;
  const sinks = new Sinks({
    node: { id: 'sidecar', cluster: 'sleep.default', metadata: { WORKLOAD_NAME: 'sleep', NAMESPACE: 'default' }, locality: {} },
    environment: {},
    clusters,
    log: assert.fail,
    observers: [],
  });
  const type = 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog';
  const log = fromJson(
    AccessLogSchema,
    { name: 'file', typedConfig: { '@type': type, path, logFormat: { textFormatSource: { inlineString: '%UPSTREAM_CLUSTER%\n' } } } },
    { registry: typeRegistry },
  );
  sinks.create('http', [log], 'x', 'outbound').record(SAMPLE_RECORD as unknown as AccessRecord);
  await sinks.files.flush();
  assert.equal(readFileSync(path, 'utf8'), 'outbound|80||www.example.com\n');
  const snapshot = sinks.registry.snapshot();
  const lines = printed(printText, snapshot, { usedOnly: true }).split('\n');
  assert.ok(lines.includes('access_log_file.lines_written: 1') && lines.includes('http.x.downstream_rq_2xx: 1'), lines.join('\n'));
  assert.match(
    printed(printPrometheus, snapshot),
    /istio_requests_total\{reporter="source",source_workload="sleep",.*destination_service="www.example.com"/,
  );
  sinks.files.closeSync();
});
