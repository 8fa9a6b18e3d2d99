import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EncodedSet } from '../update.ts';
import { prepareResponses } from './prepare.ts';
import { meshOf, TestClient } from './testing.ts';

test('the first client is sent what was prepared: no resource is looked at again', () => {
  const made = meshOf({ clusters: { a: '1', b: '1' }, listeners: { l: { text: '1', route: 'r' } }, routes: { r: '1' } });
  let looks = 0;
  const resources = [...made.resources].map(([key, { type, name, version, bytes }]) => {
    const watched = {
      type,
      name,
      version,
      get bytes() {
        looks += 1;
        return bytes;
      },
    };
    return [key, watched] as const;
  });
  const set: EncodedSet = { version: made.version, resources: new Map(resources) };
  prepareResponses(set);
  looks = 0;
  const client = new TestClient('delta', set);
  client.change('cluster');
  const clusters = client.response;
  assert.deepEqual(clusters.names, ['a', 'b']);
  client.answer('cluster', clusters);
  client.change('listener');
  assert.deepEqual(client.response.names, ['l']);
  assert.equal(looks, 0);
});
