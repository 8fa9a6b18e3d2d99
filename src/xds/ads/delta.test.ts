import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TYPE_URL } from '../resources.ts';
import { setOf, TestClient } from './testing.ts';

const ONE = setOf({ clusters: { a: '1', b: '1' } });

test('a first request that names nothing asks for everything; later only what changed comes', () => {
  const client = new TestClient('delta', ONE);
  client.change('cluster');
  const first = client.response;
  assert.deepEqual([first.typeUrl, first.names, first.removed], [TYPE_URL.cluster, ['a', 'b'], []]);
  assert.equal(client.state('cluster'), 'stale');
  client.answer('cluster', first);
  assert.equal(client.state('cluster'), 'synced');
  client.stream.serve(setOf({ clusters: { a: '1', b: '2', c: '1' } }));
  const second = client.response;
  assert.deepEqual(second.names, ['b', 'c']);
  client.answer('cluster', second);
  client.stream.serve(setOf({ clusters: { c: '1' } }));
  const third = client.response;
  assert.deepEqual([third.names, third.removed], [[], ['a', 'b']]);
});

test('of an empty set a client that asks for everything is told at once', () => {
  const client = new TestClient('delta', setOf({}));
  client.change('listener');
  assert.deepEqual(client.response.names, []);
});

test('names that are not there are told as removed, once, and sent when they come', () => {
  const client = new TestClient('delta', setOf({ endpoints: { a: '1' } }));
  client.change('endpoint', { resourceNamesSubscribe: ['a', 'gone', 'a'] });
  const first = client.response;
  assert.deepEqual([first.names, first.removed], [['a'], ['gone']]);
  client.answer('endpoint', first);
  assert.deepEqual(client.responses, []);
  client.stream.serve(setOf({ endpoints: { a: '1', gone: '1', other: '1' } }));
  assert.deepEqual(client.response.names, ['gone']);
});

test('what is subscribed to again is sent again; what is unsubscribed from is not sent any more', () => {
  const client = new TestClient('delta', setOf({ routes: { a: '1', b: '1' } }));
  client.change('route', { resourceNamesSubscribe: ['a', 'b'] });
  client.answer('route', client.response);
  client.change('route', { resourceNamesSubscribe: ['a'] });
  const again = client.response;
  assert.deepEqual(again.names, ['a']);
  client.answer('route', again);
  client.change('route', { resourceNamesUnsubscribe: ['b', 'never'] });
  client.stream.serve(setOf({ routes: { a: '2', b: '2' } }));
  assert.deepEqual(client.response.names, ['a']);
});

test('"*" asks for everything beside names, and can be given back', () => {
  const client = new TestClient('delta', ONE);
  client.change('cluster', { resourceNamesSubscribe: ['a'] });
  const named = client.response;
  assert.deepEqual(named.names, ['a']);
  client.answer('cluster', named);
  client.change('cluster', { resourceNamesSubscribe: ['*'] });
  const all = client.response;
  assert.deepEqual(all.names, ['a', 'b']);
  client.answer('cluster', all);
  client.change('cluster', { resourceNamesUnsubscribe: ['a'] });
  const still = client.response;
  assert.deepEqual(still.names, ['a'], 'the wildcard has it still');
  client.answer('cluster', still);
  client.change('cluster', { resourceNamesSubscribe: ['b'], resourceNamesUnsubscribe: ['*'] });
  client.answer('cluster', client.response);
  client.stream.serve(setOf({ clusters: { a: '2', b: '2' } }));
  assert.deepEqual(client.response.names, ['b']);
});

test('a client that comes back gets only what is not what it has', () => {
  const client = new TestClient('delta', ONE);
  client.change('cluster');
  const { versions } = client.response;
  const back = (set: typeof ONE, initialResourceVersions: Record<string, string>) => {
    const other = new TestClient('delta', set);
    other.change('cluster', { initialResourceVersions });
    return other;
  };
  const same = back(ONE, versions);
  assert.deepEqual(same.responses, []);
  assert.equal(same.state('cluster'), 'synced');
  const changed = back(setOf({ clusters: { a: '1', b: '2', c: '1' } }), { ...versions, old: 'x' }).response;
  assert.deepEqual([changed.names, changed.removed], [['b', 'c'], ['old']]);
  const named = new TestClient('delta', setOf({ endpoints: { a: '1', b: '1' } }));
  named.change('endpoint', { resourceNamesSubscribe: ['a', 'b'] });
  const known = named.response.versions;
  const again = new TestClient('delta', setOf({ endpoints: { a: '1', b: '2' } }));
  again.change('endpoint', { resourceNamesSubscribe: ['a', 'b', 'c'], initialResourceVersions: { ...known, c: 'x' } });
  const rest = again.response;
  assert.deepEqual([rest.names, rest.removed], [['b'], ['c']]);
});

test('what is refused is not sent again before it changes; the rest goes on', () => {
  const client = new TestClient('delta', ONE);
  client.change('cluster');
  client.answer('cluster', client.response);
  client.stream.serve(setOf({ clusters: { a: 'bad', b: '1' } }));
  client.answer('cluster', client.response, 'a is bad');
  assert.equal(client.state('cluster'), 'nack');
  assert.deepEqual(
    client.refused.map(({ type, refusal }) => [type, refusal.message, refusal.resources.map(({ name }) => name)]),
    [['cluster', 'a is bad', ['a']]],
  );
  assert.deepEqual(client.responses, []);
  client.stream.serve(setOf({ clusters: { a: 'bad', b: '2' } }));
  const other = client.response;
  assert.deepEqual(other.names, ['b']);
  client.answer('cluster', other);
  assert.equal(client.state('cluster'), 'nack');
  client.stream.serve(setOf({ clusters: { a: 'good', b: '2' } }));
  assert.equal(client.state('cluster'), 'stale');
  const mended = client.response;
  assert.deepEqual(mended.names, ['a']);
  client.answer('cluster', mended);
  assert.equal(client.state('cluster'), 'synced');
});

test('what was refused and goes back to what it was is sent again: nobody knows what the client has', () => {
  const client = new TestClient('delta', ONE);
  client.change('cluster');
  client.answer('cluster', client.response);
  client.stream.serve(setOf({ clusters: { a: 'bad', b: '1' } }));
  client.answer('cluster', client.response, 'no');
  client.stream.serve(ONE);
  const back = client.response;
  assert.deepEqual(back.names, ['a']);
  client.answer('cluster', back);
  assert.equal(client.state('cluster'), 'synced');
});

test('a removal that is refused is not repeated', () => {
  const client = new TestClient('delta', ONE);
  client.change('cluster');
  client.answer('cluster', client.response);
  client.stream.serve(setOf({ clusters: { a: '1' } }));
  client.answer('cluster', client.response, 'b is needed');
  assert.deepEqual(client.responses, []);
  assert.equal(client.state('cluster'), 'nack');
});

test('one response is on its way at a time, and the next leads straight to the newest set', () => {
  const client = new TestClient('delta', ONE);
  client.change('cluster');
  const first = client.response;
  for (const version of ['2', '3', '4']) client.stream.serve(setOf({ clusters: { a: version, b: '1', [version]: '' } }));
  assert.deepEqual(client.responses, []);
  client.answer('cluster', first);
  assert.deepEqual(client.response.names.toSorted(), ['4', 'a']);
});

test('an answer to an older response counts for nothing, but what it subscribes to does', () => {
  const client = new TestClient('delta', setOf({ routes: { a: '1', b: '1' } }));
  client.change('route', { resourceNamesSubscribe: ['a'] });
  const first = client.response;
  client.answer('route', first);
  client.stream.serve(setOf({ routes: { a: '2', b: '1' } }));
  const second = client.response;
  client.change('route', { responseNonce: first.nonce, resourceNamesSubscribe: ['b'], errorDetail: { code: 3, message: 'late' } });
  assert.equal(client.state('route'), 'stale');
  assert.deepEqual(client.refused, []);
  client.answer('route', second);
  assert.deepEqual(client.response.names, ['b']);
});

test('names that were asked for beside everything and given back are kept for nobody', () => {
  const client = new TestClient('delta', ONE);
  client.change('cluster', { resourceNamesSubscribe: ['*'] });
  const first = client.response;
  // It answers nothing meanwhile.
  for (let round = 0; round < 10; round++) {
    const names = Array.from({ length: 1000 }, (_, i) => `never-${round}-${i}`);
    client.change('cluster', { resourceNamesSubscribe: names });
    client.change('cluster', { resourceNamesUnsubscribe: names });
  }
  client.change('cluster', { resourceNamesSubscribe: ['a', 'missing'] });
  client.change('cluster', { resourceNamesUnsubscribe: ['a'] });
  client.answer('cluster', first);
  const second = client.response;
  assert.deepEqual([second.names, second.removed], [['a'], ['missing']]);
});

test('more than a client may ask for it cannot have either', () => {
  const had = Object.fromEntries(Array.from({ length: 100_001 }, (_, i) => [`n${i}`, '1']));
  const client = new TestClient('delta', ONE);
  assert.throws(() => client.change('cluster', { initialResourceVersions: had }), { code: 'xds-too-much' });
});
