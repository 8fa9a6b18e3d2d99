import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xxHash64 } from '../../http/routes/xxhash.ts';
import { Balancer, type Policy } from './balancer.ts';
import { ringTable } from './consistent-hash.ts';
import { type HostEntry, HostTable } from './host.ts';
import { Rotation } from './rotation.ts';
import { hostEntry as entry } from './testing.ts';

/** Numbers that go evenly through [0, 1). */
function even(): () => number {
  let n = 0;
  return () => (n = (n + 0.618034) % 1);
}

function counts(balancer: Balancer, times: number, hash?: bigint): Record<string, number> {
  const out: Record<string, number> = {};
  for (let i = 0; i < times; i++) {
    const ip = balancer.choose(hash)?.address.ip ?? 'none';
    out[ip] = (out[ip] ?? 0) + 1;
  }
  return out;
}

function balancer(policy: Policy, entries: HostEntry[], byLocality = false, panicPercent = 0): Balancer {
  const table = new HostTable();
  table.update(entries);
  const made = new Balancer(policy, byLocality, even(), panicPercent);
  made.update(table);
  return made;
}

test('a rotation gives each item its share, spread out', () => {
  const rotation = new Rotation([1, 2, 5], (weight) => weight, 0);
  const taken = Array.from({ length: 16 }, () => rotation.take());
  assert.deepEqual(
    [1, 2, 5].map((weight) => taken.filter((each) => each === weight).length),
    [2, 4, 10],
  );
  assert.ok(!taken.join().includes('5,5,5,5'), taken.join());
  const equal = new Rotation(['a', 'b', 'c'], () => 7, 0.5);
  assert.deepEqual(
    Array.from({ length: 4 }, () => equal.take()),
    ['b', 'c', 'a', 'b'],
  );
  assert.equal(new Rotation([], () => 1, 0).take(), undefined);
});

test('round robin by weight, random, least request', () => {
  const hosts = [entry('a', { weight: 3 }), entry('b')];
  assert.deepEqual(counts(balancer({ kind: 'round-robin' }, hosts), 40), { a: 30, b: 10 });
  const random = counts(balancer({ kind: 'random' }, [entry('a'), entry('b')]), 100);
  assert.ok(Math.abs(random.a! - random.b!) < 20);
  const least = balancer({ kind: 'least-request', choices: 8 }, [entry('a'), entry('b')]);
  for (let i = 0; i < 10; i++) least.choose(undefined)!.active++;
  const busy = [...new Set(Array.from({ length: 50 }, () => least.choose(undefined)!))].map(({ active }) => active);
  assert.ok(
    busy.every((active) => Math.abs(active - 5) <= 1),
    busy.join(),
  );
});

test('one hash goes to one host, and a host that leaves moves only its own', () => {
  const ips = ['a', 'b', 'c', 'd', 'e'];
  // As many positions for each host.
  const policy: Policy = { kind: 'hash', tableOf: (shares) => ringTable(shares, 200 * shares.length, 1000) };
  const all = balancer(
    policy,
    ips.map((ip) => entry(ip)),
  );
  const fewer = balancer(
    policy,
    ips.slice(1).map((ip) => entry(ip)),
  );
  const used = new Set<string>();
  for (let i = 0; i < 500; i++) {
    const hash = xxHash64(String(i));
    const chosen = all.choose(hash)!.address.ip;
    used.add(chosen);
    assert.equal(all.choose(hash)!.address.ip, chosen);
    if (chosen !== 'a') assert.equal(fewer.choose(hash)!.address.ip, chosen);
  }
  assert.deepEqual([...used].sort(), ips);
});

test('by hash: priorities share the hashes, localities weigh in one table, and without a hash the choice is random', () => {
  const policy: Policy = { kind: 'hash', tableOf: (shares) => (hash) => shares[Number(hash % BigInt(shares.length))]!.host };
  const two = balancer(policy, [entry('a'), entry('down', { healthy: false }), entry('b', { priority: 1 })]);
  const chosen = Array.from({ length: 100 }, (_, i) => two.choose(BigInt(i))!.address.ip);
  assert.deepEqual([chosen.filter((ip) => ip === 'a').length, chosen.slice(0, 70).every((ip) => ip === 'a')], [70, true]);
  const shares: (readonly [string, number])[] = [];
  const weigh: Policy = {
    kind: 'hash',
    tableOf: (each) => {
      shares.push(...each.map(({ host, weight }) => [host.address.ip, weight] as const));
      return () => each[0]!.host;
    },
  };
  const place = (locality: string, localityWeight: number, weight: number) => ({ locality, localityWeight, weight });
  balancer(weigh, [entry('a', place('x', 1, 1)), entry('b', place('y', 3, 1)), entry('c', place('y', 3, 2))], true).choose(0n);
  assert.deepEqual(shares, [
    ['a', 0.25],
    ['b', 0.25],
    ['c', 0.5],
  ]);
  const anyOf = balancer(policy, [entry('a'), entry('b')]);
  assert.deepEqual(Object.keys(counts(anyOf, 20)).sort(), ['a', 'b']);
  assert.equal(balancer(policy, []).choose(1n), undefined);
});

test('priorities: the next one takes over as hosts of the first fail, 1.4 times provisioned', () => {
  const hosts = (unhealthy: number) => [
    ...Array.from({ length: 10 }, (_, i) => entry(`p0-${i}`, { healthy: i >= unhealthy })),
    entry('p1', { priority: 1 }),
  ];
  const share = (unhealthy: number) => (counts(balancer({ kind: 'round-robin' }, hosts(unhealthy)), 1000).p1 ?? 0) / 1000;
  assert.equal(share(0), 0);
  assert.equal(share(2), 0, '80 % of the hosts are enough');
  assert.ok(Math.abs(share(5) - 0.3) < 0.02, `${share(5)}`);
  assert.equal(share(10), 1);
  assert.deepEqual(counts(balancer({ kind: 'round-robin' }, [entry('a', { healthy: false })]), 1), { none: 1 });
});

test('a panic: with too few usable hosts all of a priority are used, unless others make up for it', () => {
  const hosts = (usable: number, more: HostEntry[] = []) => [
    ...Array.from({ length: 4 }, (_, i) => entry(`${i}`, { healthy: i < usable })),
    ...more,
  ];
  const counted = (entries: HostEntry[], panicPercent: number) =>
    counts(balancer({ kind: 'round-robin' }, entries, false, panicPercent), 8);
  assert.deepEqual(counted(hosts(2), 50), { 0: 4, 1: 4 });
  assert.deepEqual(counted(hosts(1), 50), { 0: 2, 1: 2, 2: 2, 3: 2 });
  assert.deepEqual(counted(hosts(1), 25), { 0: 8 });
  assert.deepEqual(counted(hosts(0), 1), { 0: 2, 1: 2, 2: 2, 3: 2 });
  assert.deepEqual(counted(hosts(0), 0), { none: 8 });
  assert.deepEqual(counted(hosts(0, [entry('next', { priority: 1 })]), 50), { next: 8 });
});

test('localities by weight where the cluster asks for it', () => {
  const hosts = [
    entry('a', { locality: 'x', localityWeight: 3 }),
    entry('b', { locality: 'y', localityWeight: 1 }),
    entry('c', { locality: 'y', localityWeight: 1 }),
  ];
  assert.deepEqual(counts(balancer({ kind: 'round-robin' }, hosts, true), 80), { a: 60, b: 10, c: 10 });
  const flat = counts(balancer({ kind: 'round-robin' }, hosts, false), 60);
  assert.deepEqual(flat, { a: 20, b: 20, c: 20 });
  const weightless = hosts.map((host) => ({ ...host, localityWeight: 0 }));
  assert.deepEqual(counts(balancer({ kind: 'round-robin' }, weightless, true), 60), flat, 'no locality has a weight');
  const some = [...hosts.slice(1), entry('d', { locality: 'z', localityWeight: 0 })];
  assert.deepEqual(counts(balancer({ kind: 'round-robin' }, some, true), 60), { b: 30, c: 30 });
});

test('a host stays the same object while its address stays', () => {
  const table = new HostTable();
  table.update([entry('a'), entry('b')]);
  const [a, b] = [...table.hosts];
  table.update([entry('a', { weight: 4 }), entry('c')]);
  assert.equal([...table.hosts][0], a);
  assert.deepEqual([a!.weight, a!.live, b!.live], [4, true, false]);
});
