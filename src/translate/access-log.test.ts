import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { decode } from '../api/decode.ts';
import { type MeshConfig, meshConfig } from '../api/mesh-config.ts';
import type { AccessLog } from '../xds/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import { FileAccessLogSchema } from '../xds/gen/envoy/extensions/access_loggers/file/v3/file_pb.js';
import { accessLogs, listenerAccessLogs } from './access-log.ts';

const mesh = (settings: Record<string, unknown>) => decode(meshConfig, settings, [], (issue) => assert.fail(issue.message)) as MeshConfig;

/** The format of the one log, a text or an object. */
function formatOf(logs: readonly AccessLog[]): unknown {
  assert.equal(logs.length, 1);
  const { configType } = logs[0]!;
  assert.ok(configType.case === 'typedConfig');
  const { accessLogFormat } = fromBinary(FileAccessLogSchema, configType.value.value);
  assert.ok(accessLogFormat.case === 'logFormat');
  const { format } = accessLogFormat.value;
  if (format.case === 'jsonFormat') return format.value;
  assert.ok(format.case === 'textFormatSource' && format.value.specifier.case === 'inlineString');
  return format.value.specifier.value;
}

const FILE = { accessLogFile: '/dev/stdout' };

test('no file, no log', () => {
  assert.deepEqual(accessLogs(mesh({}), 'CLIENT', 'http'), []);
  assert.deepEqual(listenerAccessLogs(mesh({}), 'CLIENT'), []);
});

test('text: Istio’s format unless there is another; each record is a line', () => {
  assert.match(String(formatOf(accessLogs(mesh(FILE), 'CLIENT', 'http'))), /^\[%START_TIME%\] "%REQ\(:METHOD\)%.*%ROUTE_NAME%\n$/);
  assert.equal(formatOf(accessLogs(mesh({ ...FILE, accessLogFormat: '%PROTOCOL%' }), 'CLIENT', 'http')), '%PROTOCOL%\n');
  assert.equal(formatOf(accessLogs(mesh({ ...FILE, accessLogFormat: '%PROTOCOL%\n' }), 'CLIENT', 'http')), '%PROTOCOL%\n');
});

test('JSON: the object that is given; Istio’s where there is none', () => {
  const json = { ...FILE, accessLogEncoding: 'JSON' };
  assert.deepEqual(formatOf(accessLogs(mesh({ ...json, accessLogFormat: '{"p":"%PROTOCOL%"}' }), 'CLIENT', 'http')), { p: '%PROTOCOL%' });
  for (const accessLogFormat of ['', 'not json', '[1]']) {
    const format = formatOf(accessLogs(mesh({ ...json, accessLogFormat }), 'CLIENT', 'http')) as Record<string, string>;
    assert.equal(format.upstream_cluster, '%UPSTREAM_CLUSTER_RAW%', accessLogFormat);
  }
});

test('a listener logs only what no filter chain takes', () => {
  const [log] = listenerAccessLogs(mesh(FILE), 'CLIENT');
  assert.deepEqual(log!.filter!.filterSpecifier.value, { $typeName: 'envoy.config.accesslog.v3.ResponseFlagFilter', flags: ['NR'] });
  assert.deepEqual(listenerAccessLogs(mesh({ ...FILE, disableEnvoyListenerLog: true }), 'CLIENT'), []);
});
