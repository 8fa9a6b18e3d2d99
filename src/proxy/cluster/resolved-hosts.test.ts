import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { parseRange } from '../../lib/ip.ts';
import type { Reach } from '../../xds/match/reach.ts';
import type { DnsResolver, Resolution } from '../dns/resolver.ts';
import type { UpstreamFailure, UpstreamHost } from '../types.ts';
import { Balancer } from './balancer.ts';
import type { Discovery } from './discovery.ts';
import type { Host } from './host.ts';
import { resolvedHosts } from './resolved-hosts.ts';
import type { ClusterSettings } from './settings.ts';
import { hostEntry } from './testing.ts';

const TTL_MS = 30_000;
const FAILURE_REFRESH_MS = 2000;
const CONTEXT = { downstream: undefined, target: undefined, hash: undefined };

const noWait = () => assert.fail('the choice waits');

/** A resolver whose questions the test answers. */
class Questions implements DnsResolver {
  readonly asked: string[] = [];
  readonly #open: { readonly name: string; readonly resolve: (result: Resolution) => void }[] = [];

  resolve(name: string): Promise<Resolution> {
    this.asked.push(name);
    return new Promise((resolve) => this.#open.push({ name, resolve }));
  }

  /** Answers every open question, and lets those who wait go on. */
  async answer(...ips: string[]): Promise<void> {
    await this.settle({ kind: 'found', ips, ttlMs: TTL_MS });
  }

  async settle(result: Resolution): Promise<void> {
    for (const { resolve } of this.#open.splice(0)) resolve(result);
    await new Promise((resolve) => setImmediate(resolve));
  }

  close(): void {}
}

function hosts(
  t: TestContext,
  questions: Questions,
  kind: 'strict-dns' | 'logical-dns' = 'strict-dns',
  names = ['a.example'],
  reach?: Reach,
): Discovery {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const settings = {
    discovery: kind,
    lookupFamily: 'v4',
    respectTtl: true,
    refreshMs: TTL_MS,
    failureRefreshMs: FAILURE_REFRESH_MS,
  } as unknown as ClusterSettings;
  const balancer = new Balancer({ kind: 'round-robin' }, false, () => 0, 0);
  const found = resolvedHosts(
    names.map((name) => hostEntry(name)),
    settings,
    balancer,
    { resolver: questions, now: () => 0 },
    reach,
  );
  t.after(() => found.close());
  return found;
}

function text(choice: UpstreamHost | UpstreamFailure | undefined): string | undefined {
  return choice && 'text' in choice ? choice.text : choice?.kind;
}

test('a name is looked up when the first request comes, and once for all that wait', async (t) => {
  const questions = new Questions();
  const found = hosts(t, questions);
  assert.deepEqual(questions.asked, []);
  const chosen: (string | undefined)[] = [];
  for (let i = 0; i < 3; i++)
    assert.equal(
      found.choose(CONTEXT, (choice) => chosen.push(text(choice))),
      undefined,
    );
  assert.deepEqual(questions.asked, ['a.example']);
  await questions.answer('10.0.0.1');
  assert.deepEqual(chosen, ['10.0.0.1:80', '10.0.0.1:80', '10.0.0.1:80']);
  assert.equal(text(found.choose(CONTEXT, noWait)), '10.0.0.1:80');
  assert.deepEqual(questions.asked, ['a.example']);
});

test('it is looked up again while it is used, without a wait; unused it is left alone until the next request, which waits for a new answer', async (t) => {
  const questions = new Questions();
  const found = hosts(t, questions);
  found.choose(CONTEXT, () => undefined);
  await questions.answer('10.0.0.1');
  found.choose(CONTEXT, noWait);
  t.mock.timers.tick(TTL_MS + 10);
  assert.equal(questions.asked.length, 2);
  assert.equal(text(found.choose(CONTEXT, noWait)), '10.0.0.1:80');
  await questions.answer('10.0.0.2');
  assert.equal(text(found.choose(CONTEXT, noWait)), '10.0.0.2:80');
  t.mock.timers.tick(TTL_MS + 10);
  await questions.answer('10.0.0.2');
  assert.equal(questions.asked.length, 3);
  // Nobody has come since.
  t.mock.timers.tick(100 * TTL_MS);
  assert.equal(questions.asked.length, 3);
  assert.deepEqual([...found.hosts].map(text), ['10.0.0.2:80']);
  const chosen: (string | undefined)[] = [];
  assert.equal(
    found.choose(CONTEXT, (choice) => chosen.push(text(choice))),
    undefined,
  );
  await questions.answer('10.0.0.3');
  assert.deepEqual(chosen, ['10.0.0.3:80']);
});

test('an open connection keeps a name looked up, so that it learns when its address has left', async (t) => {
  const questions = new Questions();
  const found = hosts(t, questions);
  found.choose(CONTEXT, () => undefined);
  await questions.answer('10.0.0.1');
  const [host] = [...found.hosts] as Host[];
  host!.connections = 1;
  for (let look = 2; look < 5; look++) {
    t.mock.timers.tick(TTL_MS + 10);
    assert.equal(questions.asked.length, look);
    await questions.answer('10.0.0.1');
  }
  t.mock.timers.tick(TTL_MS + 10);
  await questions.answer('10.0.0.2');
  assert.equal(host!.live, false);
  t.mock.timers.tick(TTL_MS + 10);
  assert.equal(questions.asked.length, 5);
});

test('a lookup that fails keeps what is known, also after an idle time; with nothing known there is no host', async (t) => {
  const questions = new Questions();
  const found = hosts(t, questions);
  const chosen: (string | undefined)[] = [];
  found.choose(CONTEXT, (choice) => chosen.push(text(choice)));
  await questions.settle({ kind: 'failed', reason: 'ETIMEOUT' });
  assert.equal(chosen[0], 'no-host');
  assert.equal(text(found.choose(CONTEXT, noWait)), 'no-host');
  t.mock.timers.tick(FAILURE_REFRESH_MS + 10);
  await questions.answer('10.0.0.1');
  assert.equal(text(found.choose(CONTEXT, noWait)), '10.0.0.1:80');
  t.mock.timers.tick(TTL_MS + 10);
  await questions.settle({ kind: 'failed', reason: 'ETIMEOUT' });
  t.mock.timers.tick(FAILURE_REFRESH_MS + 10);
  const asked = questions.asked.length;
  found.choose(CONTEXT, (choice) => chosen.push(text(choice)));
  assert.equal(questions.asked.length, asked + 1);
  await questions.settle({ kind: 'failed', reason: 'ETIMEOUT' });
  assert.equal(chosen.at(-1), '10.0.0.1:80');
});

test('with several names a request waits for all; LOGICAL_DNS takes the first address', async (t) => {
  const questions = new Questions();
  const found = hosts(t, questions, 'logical-dns', ['a.example', 'b.example', '10.9.9.9']);
  assert.deepEqual([...found.hosts].map(text), ['10.9.9.9:80']);
  let answered = 0;
  found.choose(CONTEXT, () => answered++);
  assert.deepEqual(questions.asked, ['a.example', 'b.example']);
  await questions.answer('10.0.0.1', '10.0.0.2');
  assert.equal(answered, 1);
  assert.deepEqual([...found.hosts].map(text), ['10.0.0.1:80', '10.9.9.9:80']);
});

test('a cluster that goes lets those who wait go on, and asks nothing more', async (t) => {
  const questions = new Questions();
  const found = hosts(t, questions);
  const chosen: (string | undefined)[] = [];
  found.choose(CONTEXT, (choice) => chosen.push(text(choice)));
  found.close();
  assert.deepEqual(chosen, ['no-host']);
  await questions.answer('10.0.0.1');
  t.mock.timers.tick(10 * TTL_MS);
  assert.deepEqual(questions.asked, ['a.example']);
});

test('where only public addresses are reached, a name leads to those of its answer, and an answer without any is the reason of the failure', async (t) => {
  const questions = new Questions();
  const found = hosts(t, questions, 'strict-dns', ['a.example'], { ports: [80], ranges: [parseRange('10.1.0.0/16')!] });
  let choice: UpstreamHost | UpstreamFailure | undefined;
  found.choose(CONTEXT, (chosen) => (choice = chosen));
  await questions.answer('169.254.169.254', '198.51.100.7', '127.0.0.1', '10.1.0.1');
  assert.deepEqual([...found.hosts].map(text), ['198.51.100.7:80', '10.1.0.1:80']);
  assert.ok(choice && 'text' in choice);
  found.choose(CONTEXT, noWait);
  t.mock.timers.tick(TTL_MS + 10);
  await questions.answer('::ffff:127.0.0.1', '64:ff9b::a9fe:a9fe');
  assert.deepEqual(found.choose(CONTEXT, noWait), { kind: 'dns', reason: '127.0.0.1 is a loopback address' });
});
