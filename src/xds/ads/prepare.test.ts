import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TYPE_URL } from '../resources.ts';
import { listIn, versionOf } from '../update.ts';
import { prepareResponses } from './prepare.ts';
import { responseOf } from './responses.ts';
import { meshOf, TestClient } from './testing.ts';

test('the first client is sent what was prepared', () => {
  const set = meshOf({ clusters: { a: '1', b: '1' }, listeners: { l: { text: '1', route: 'r' } }, routes: { r: '1' } });
  prepareResponses(set);
  const list = listIn(set, 'cluster');
  const content = { typeUrl: TYPE_URL.cluster, version: versionOf(list), resources: list.all, removed: [] };
  const { bytes } = responseOf('delta', content, '');
  const client = new TestClient('delta', set);
  client.change('cluster');
  client.stream.push();
  assert.equal(client.written[0], bytes);
});
