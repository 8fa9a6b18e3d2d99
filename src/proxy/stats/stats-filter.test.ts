import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { SAMPLE_RECORD } from '../../http/format/testing.ts';
import { PluginConfigSchema } from '../../xds/gen/istio/stats_pb.js';
import type { Labels } from './registry.ts';
import { countedByFilter } from './stats-filter.ts';

const USUAL: Labels = [
  ['reporter', 'source'],
  ['response_code', '200'],
];

function counted(config: MessageInitShape<typeof PluginConfigSchema>) {
  const told: string[] = [];
  const fields = { ...config, $typeName: undefined };
  const any = anyPack(PluginConfigSchema, create(PluginConfigSchema, fields as object));
  const metrics = countedByFilter(any, { hostname: '', environment: {} }, 'the filter', (what) => told.push(what));
  const labels = (name: 'requests_total' | 'request_bytes') => metrics.labels(name, USUAL, SAMPLE_RECORD);
  return { told, requests: labels('requests_total'), bytes: labels('request_bytes') };
}

test('a filter that says nothing counts everything as usual', () => {
  assert.deepEqual(counted({ disableHostHeaderFallback: true }), { told: [], requests: USUAL, bytes: USUAL });
});

test('metrics are dropped, and labels taken away and set, of one or of all', () => {
  const { told, requests, bytes } = counted({
    metrics: [
      { name: '', tagsToRemove: ['response_code'] },
      { name: 'requests_total', dimensions: { method: 'request.method', reporter: "'us'" } },
      { name: 'request_bytes', drop: true },
    ],
  });
  assert.deepEqual(told, []);
  assert.deepEqual(requests, [
    ['method', SAMPLE_RECORD.method],
    ['reporter', 'us'],
  ]);
  assert.equal(bytes, undefined);
});

test('what is not done is told by name, and the rest holds', () => {
  const { told, requests } = counted({
    metrics: [
      {
        name: 'requests_total',
        match: 'response.code == 500',
        dimensions: { port: 'string(destination.port)', 'no-label': "'x'" },
        tagsToRemove: ['reporter'],
      },
      { name: 'my_metric' },
    ],
    definitions: [{ name: 'my_metric', value: '1' }],
  });
  assert.deepEqual(requests, [['response_code', '200']]);
  assert.deepEqual(told, [
    'the filter: the metric my_metric is defined, which is not done here',
    'the filter: counts only "response.code == 500" of requests_total: all of it is counted',
    'the filter: sets the label port to "string(destination.port)", which is not understood here: it is not set',
    'the filter: sets the label no-label to "\'x\'", which is not understood here: it is not set',
    'the filter: changes the metric my_metric, which there is not here',
  ]);
});
