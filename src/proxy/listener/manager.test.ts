import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Listeners } from './manager.ts';
import { chain, encodeListener, type FakeEnvironment, fakeEnvironment, listener } from './testing.ts';

interface Rests {
  count: number;
}

function listeners(t: TestContext): { readonly all: Listeners; readonly env: FakeEnvironment; readonly rests: Rests } {
  const env = fakeEnvironment();
  const rests = { count: 0 };
  const pace = () => {
    rests.count++;
    return undefined;
  };
  const all = new Listeners(env, pace);
  t.after(() => all.close());
  return { all, env, rests };
}

const address = (i: number): string => `10.0.${Math.floor(i / 250)}.${i % 250}`;
const own = (i: number, cluster = `c${i}`): Uint8Array => encodeListener(listener(`l${i}`, address(i), [chain('*.x', cluster)]));

/** As large as one with many chains: made at once. */
const large = (cluster: string): Uint8Array =>
  encodeListener(
    listener(
      'large',
      '0.0.0.0',
      Array.from({ length: 50 }, (_, i) => chain(`n${i}`, i === 7 ? cluster : 'c')),
    ),
  );

test('a thousand listeners are compiled once each, and made when a connection comes to them', async (t) => {
  const { all, env } = listeners(t);
  for (let i = 0; i < 1000; i++) await all.set(`l${i}`, own(i), '1', []);
  assert.equal(env.handlers.length, 1000);
  assert.equal([...all.all()].length, 1000);
  const found = all.at({ ip: address(512), port: 443 })!;
  assert.equal(found.name, 'l512');
  assert.equal(env.handlers.length, 1000);
  found.plan.chains[0]!.get();
  assert.equal(env.handlers.length, 1001);
  assert.equal(all.at({ ip: address(512), port: 443 }), found);
  assert.equal(all.at({ ip: address(512), port: 80 }), undefined);
});

test('the table follows each change: added, replaced, moved to another address, removed', async (t) => {
  const { all } = listeners(t);
  await all.set('l1', own(1), '1', []);
  await all.set('l2', own(2), '1', []);
  const at = (i: number) => all.at({ ip: address(i), port: 443 })?.name;
  assert.deepEqual([at(1), at(2), at(3)], ['l1', 'l2', undefined]);
  await all.set('l2', encodeListener(listener('l2', address(3), [chain('*.x', 'c')])), '2', []);
  assert.deepEqual([at(1), at(2), at(3)], ['l1', undefined, 'l2']);
  all.delete('l1');
  assert.equal(at(1), undefined);
  await all.set('any', encodeListener(listener('any', '0.0.0.0', [chain('*.x', 'c')])), '1', []);
  assert.deepEqual([at(1), at(3)], ['any', 'l2']);
});

test('a listener in use takes a new version over, unchanged chains with their handlers; one that nobody used is just replaced', async (t) => {
  const { all, env } = listeners(t);
  await all.set('large', large('c'), '1', []);
  assert.equal(env.handlers.length, 50);
  const used = all.at({ ip: '10.1.1.1', port: 443 })!;
  const [kept, changed] = [used.plan.chains[6]!.get(), used.plan.chains[7]!.get()];
  used.stats.downstreamCxTotal = 5;
  await all.set('large', large('other'), '2', []);
  assert.equal(all.at({ ip: '10.1.1.1', port: 443 }), used);
  assert.equal(used.plan.chains[6]!.get(), kept);
  assert.notEqual(used.plan.chains[7]!.get(), changed);
  assert.equal((kept.handler as { drained?: number }).drained, 0);
  assert.equal((changed.handler as { drained?: number }).drained, 1);
  assert.equal([...all.all()][0]!.stats.downstreamCxTotal, 5);
  // Checked, one chain, and compiled when it was used.
  assert.equal(env.handlers.length, 50 + 2 + 1 + 1);
  await all.set('l1', own(1), '1', []);
  await all.set('l1', own(1, 'next'), '2', []);
  const next = all.at({ ip: address(1), port: 443 })!.plan.chains[0]!.get();
  assert.equal((next.handler as { cluster?: string }).cluster, 'next');
});

test('a listener that cannot be honoured is refused when it comes, and its last good version stays', async (t) => {
  const { all } = listeners(t);
  await all.set('l1', own(1), '1', []);
  const bad = encodeListener(listener('l1', address(1), [{ name: 'bare' }]));
  await assert.rejects(all.set('l1', bad, '2', []), { code: 'xds-unsupported', message: /filter_chains\[0\] "bare".filters/ });
  assert.equal(all.at({ ip: address(1), port: 443 })?.name, 'l1');
});

test('one of which there is no good version takes its connections and has no chain for them', async (t) => {
  const { all } = listeners(t);
  const refused = encodeListener(listener('l2', address(2), [chain('*.x', 'c')], { transparent: true }));
  await assert.rejects(all.set('l2', refused, '1', []), /listener "l2".transparent/);
  const shut = all.at({ ip: address(2), port: 443 });
  assert.equal(shut?.name, 'l2');
  assert.deepEqual(shut.plan.chains, []);
  // The same again is refused again, and a good version replaces it.
  await assert.rejects(all.set('l2', refused, '1', []), /listener "l2".transparent/);
  await all.set('l2', own(2), '2', []);
  assert.equal(all.at({ ip: address(2), port: 443 })?.plan.chains.length, 1);
  await assert.rejects(all.set('l3', encodeListener(listener('l3', address(3), [{ name: 'bare' }])), '1', []));
  all.delete('l3');
  assert.equal(all.at({ ip: address(3), port: 443 }), undefined);
});

test('of one that is refused the addresses that its good version does not have are shut, until they are none of its own', async (t) => {
  const { all } = listeners(t);
  const at = (i: number) => all.at({ ip: address(i), port: 443 })?.plan.chains.length;
  const additional = (...of: number[]) => ({
    additionalAddresses: of.map((i) => ({ address: { socketAddress: { address: address(i), portValue: 443 } } })),
  });
  const refused = (own: number, ...of: number[]) => encodeListener(listener('l1', address(own), [{ name: 'bare' }], additional(...of)));
  await all.set('l1', own(1), '1', []);
  await assert.rejects(all.set('l1', refused(1, 2, 3), '2', []));
  assert.deepEqual([at(1), at(2), at(3)], [1, 0, 0]);
  // Another refused version has other addresses.
  await assert.rejects(all.set('l1', refused(4), '3', []));
  assert.deepEqual([at(1), at(2), at(4)], [1, undefined, 0]);
  await all.set('l1', encodeListener(listener('l1', address(1), [chain('*.x', 'c')], additional(2))), '4', []);
  assert.deepEqual([at(1), at(2), at(4)], [1, 1, undefined]);
  await assert.rejects(all.set('l1', refused(1, 5), '5', []));
  all.delete('l1');
  assert.deepEqual([at(1), at(2), at(5)], [undefined, undefined, undefined]);
  // Without a good version.
  await assert.rejects(all.set('l1', refused(6), '6', []));
  await assert.rejects(all.set('l1', refused(7), '7', []));
  assert.deepEqual([at(6), at(7)], [undefined, 0]);
});

test('a large listener is taken over in steps, between which the thread may do other things', async (t) => {
  const { all, rests } = listeners(t);
  await all.set('large', large('c'), '1', []);
  assert.equal(rests.count, 50);
  await all.set('large', large('other'), '2', []);
  assert.equal(rests.count, 51);
});
