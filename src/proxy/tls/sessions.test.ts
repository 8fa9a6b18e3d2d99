import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeptSessions, TicketSecret } from './sessions.ts';

test('threads make the same ticket keys of one secret, for each context and each hour another one', () => {
  let seconds = 7000;
  const clock = () => seconds;
  const first = new TicketSecret(undefined, clock);
  const second = new TicketSecret(first.seed, clock);
  const early = first.key('a');
  assert.equal(early.length, 48);
  assert.deepEqual(second.key('a'), early);
  assert.notDeepEqual(first.key('b'), early);
  seconds = 7200;
  const late = first.key('a');
  assert.notDeepEqual(late, early);
  // One that was asked for nothing meanwhile, and one that is started now.
  seconds = 100_000;
  assert.deepEqual(second.key('a'), first.key('a'));
  assert.deepEqual(new TicketSecret(first.seed, clock).key('a'), first.key('a'));
  assert.notDeepEqual(first.key('a'), late);
  assert.notDeepEqual(new TicketSecret(undefined, clock).key('a'), first.key('a'), 'each process has a secret of its own');
});

test('of each key the newest session is kept, of few keys, and none beyond its time', () => {
  const sessions = new KeptSessions();
  const until = Date.now() + 60_000;
  for (let i = 0; i < 20; i++) sessions.keep(`k${i}`, { session: Buffer.from([i]), until });
  sessions.keep('k19', { session: Buffer.from([99]), until });
  assert.deepEqual(sessions.find('k19')?.session, Buffer.from([99]));
  assert.equal(sessions.find('k0'), undefined);
  assert.ok(sessions.find('k12'));
  sessions.keep('old', { session: Buffer.from([1]), until: Date.now() - 1 });
  assert.equal(sessions.find('old'), undefined);
});
