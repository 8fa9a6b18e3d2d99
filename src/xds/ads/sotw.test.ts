import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setOf, TestClient } from './testing.ts';

const ONE = setOf({ clusters: { a: '1', b: '1' } });

test('of clusters and listeners each response has everything; what is not in it is gone', () => {
  const client = new TestClient('sotw', ONE);
  client.ask('cluster');
  const first = client.response;
  assert.deepEqual(first.names, ['a', 'b']);
  client.answer('cluster', first);
  assert.deepEqual(client.responses, []);
  client.stream.serve(setOf({ clusters: { b: '1', c: '1' } }));
  const second = client.response;
  assert.deepEqual(second.names, ['b', 'c']);
  assert.notEqual(second.version, first.version);
  client.answer('cluster', second);
  assert.equal(client.state('cluster'), 'synced');
});

test('of types that are asked for by name only what changed comes, and what is not there is left out', () => {
  const client = new TestClient('sotw', setOf({ routes: { a: '1', b: '1', other: '1' } }));
  client.ask('route', { resourceNames: ['a', 'b', 'gone', 'a'] });
  const first = client.response;
  assert.deepEqual(first.names, ['a', 'b']);
  client.answer('route', first, undefined, ['a', 'b', 'gone']);
  client.stream.serve(setOf({ routes: { a: '1', b: '2', other: '2' } }));
  const second = client.response;
  assert.deepEqual(second.names, ['b']);
  client.answer('route', second, undefined, ['a', 'b', 'gone']);
  client.stream.serve(setOf({ routes: { a: '1' } }));
  assert.deepEqual(client.responses, []);
});

test('names that are added come by themselves, also with an acknowledgement; names that are left out come no more', () => {
  const client = new TestClient('sotw', setOf({ endpoints: { a: '1', b: '1', c: '1' } }));
  client.ask('endpoint', { resourceNames: ['a'] });
  const first = client.response;
  client.answer('endpoint', first, undefined, ['a', 'b']);
  const second = client.response;
  assert.deepEqual(second.names, ['b']);
  client.answer('endpoint', second, undefined, ['b']);
  client.stream.serve(setOf({ endpoints: { a: '2', b: '2', c: '2' } }));
  assert.deepEqual(client.response.names, ['b']);
});

test('after names, none is nothing; "*" is everything again', () => {
  const client = new TestClient('sotw', ONE);
  client.ask('cluster', { resourceNames: ['a'] });
  const named = client.response;
  assert.deepEqual(named.names, ['a']);
  client.answer('cluster', named, undefined, []);
  client.stream.serve(setOf({ clusters: { a: '2', b: '2' } }));
  assert.deepEqual(client.responses, []);
  client.ask('cluster', { responseNonce: named.nonce, resourceNames: ['*'] });
  assert.deepEqual(client.response.names, ['a', 'b']);
});

test('a request that repeats what was said is answered by nothing; one for an older response is ignored', () => {
  const client = new TestClient('sotw', setOf({ routes: { a: '1', b: '1' } }));
  client.ask('route', { resourceNames: ['a'] });
  const first = client.response;
  client.answer('route', first, undefined, ['a']);
  client.answer('route', first, undefined, ['a']);
  assert.deepEqual(client.responses, []);
  client.stream.serve(setOf({ routes: { a: '2', b: '1' } }));
  const second = client.response;
  client.answer('route', first, 'late', ['a', 'b']);
  assert.equal(client.state('route'), 'stale');
  assert.deepEqual([client.responses, client.refused], [[], []]);
  client.answer('route', second, undefined, ['a', 'b']);
  assert.deepEqual(client.response.names, ['b']);
});

test('a client that comes back with the version of what is there gets nothing; with another, all', () => {
  const client = new TestClient('sotw', setOf({ clusters: { a: '1' }, routes: { a: '1', b: '1' } }));
  client.ask('cluster');
  const clusters = client.response;
  client.answer('cluster', clusters);
  client.ask('route', { resourceNames: ['a'] });
  const routes = client.response;
  const back = new TestClient('sotw', setOf({ clusters: { a: '1' }, routes: { a: '1', b: '2' } }));
  back.ask('cluster', { versionInfo: clusters.version, responseNonce: clusters.nonce });
  back.ask('route', { versionInfo: routes.version, resourceNames: ['a'] });
  assert.deepEqual(back.responses, []);
  assert.equal(back.state('route'), 'synced');
  const more = new TestClient('sotw', setOf({ routes: { a: '1', b: '1' } }));
  more.ask('route', { versionInfo: routes.version, resourceNames: ['a', 'b'] });
  assert.deepEqual(more.response.names, ['a', 'b']);
});

test('a state that is refused is not sent again before it changes, and then whole', () => {
  const client = new TestClient('sotw', ONE);
  client.ask('cluster');
  client.answer('cluster', client.response);
  client.stream.serve(setOf({ clusters: { a: 'bad', b: '1' } }));
  client.answer('cluster', client.response, 'a is bad');
  assert.equal(client.state('cluster'), 'nack');
  assert.deepEqual(client.responses, []);
  client.stream.serve(setOf({ clusters: { a: 'good', b: '1' } }));
  const mended = client.response;
  assert.deepEqual(mended.names, ['a', 'b']);
  client.answer('cluster', mended);
  assert.equal(client.state('cluster'), 'synced');
  assert.deepEqual(client.responses, []);
});

test('an unknown type has nothing, which is said', () => {
  const client = new TestClient('sotw', ONE);
  client.ask('cluster', { typeUrl: 'type.googleapis.com/some.Other', resourceNames: ['x'] });
  const { typeUrl, names } = client.response;
  assert.deepEqual([typeUrl, names], ['type.googleapis.com/some.Other', []]);
});
