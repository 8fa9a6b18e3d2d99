import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Resolution } from '../dns/resolver.ts';
import { RecentAnswers } from './recent-answers.ts';

/** Answers with a TTL of 10 s that the test changes, at a time that it sets. */
function setup(ips: readonly string[]) {
  const asked: string[] = [];
  const world = { now: 0, ips };
  const resolver = {
    resolve: (name: string, family: string): Promise<Resolution> => {
      asked.push(`${name} ${family}`);
      return Promise.resolve(
        world.ips.length > 0 ? { kind: 'found', ips: [...world.ips], ttlMs: 10_000 } : { kind: 'failed', reason: 'nobody answers' },
      );
    },
    close: () => undefined,
  };
  return { answers: new RecentAnswers({ resolver, now: () => world.now }), world, asked };
}

test('a name leads to an address that it has, asked in the address’s family', async () => {
  const { answers, asked } = setup(['192.0.2.1', '2001:db8::1']);
  assert.equal(await answers.leadTo('a', '192.0.2.1'), true);
  assert.equal(await answers.leadTo('a', '::ffff:192.0.2.1'), true);
  assert.equal(await answers.leadTo('a', '2001:db8:0::1'), true);
  assert.equal(await answers.leadTo('a', '192.0.2.2'), false);
  assert.equal(await answers.leadTo('a', 'no address'), false);
  assert.deepEqual(asked.slice(0, 3), ['a v4', 'a v4', 'a v6']);
});

test('an address counts for a minute after its answer was over, whatever is answered since', async () => {
  const { answers, world } = setup(['192.0.2.1']);
  assert.equal(await answers.leadTo('a', '192.0.2.1'), true);
  world.ips = ['192.0.2.2'];
  world.now = 70_000;
  assert.equal(await answers.leadTo('a', '192.0.2.1'), true);
  world.ips = [];
  assert.equal(await answers.leadTo('a', '192.0.2.1'), true, 'also while nobody answers');
  assert.equal(await answers.leadTo('b', '192.0.2.1'), false, 'of no other name');
  world.now = 70_001;
  assert.equal(await answers.leadTo('a', '192.0.2.1'), false);
  assert.equal(await answers.leadTo('a', '192.0.2.2'), true);
});

test('so many names are remembered; with more all are forgotten', async () => {
  const { answers, world } = setup(['192.0.2.1']);
  for (let i = 0; i < 10_000; i++) await answers.leadTo(`n${i}`, '192.0.2.1');
  world.ips = [];
  assert.equal(await answers.leadTo('n0', '192.0.2.1'), true);
  for (const name of ['gone', 'gone too']) assert.equal(await answers.leadTo(name, '192.0.2.1'), false);
  assert.equal(await answers.leadTo('n0', '192.0.2.1'), true, 'names without an address are not among them');
  world.ips = ['192.0.2.1'];
  await answers.leadTo('one more', '192.0.2.1');
  world.ips = [];
  assert.equal(await answers.leadTo('n0', '192.0.2.1'), false);
});
