import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import type { ConnectionInfo } from '../../xds/match/filter-chain.ts';
import { compilePlan, decodeListener, type ListenerPlan } from './plan.ts';
import { chain, encodeListener, type FakeEnvironment, fakeEnvironment, listener } from './testing.ts';

function compile(env: FakeEnvironment, json: JsonObject, before?: ListenerPlan, checked = false) {
  const steps = compilePlan(decodeListener(encodeListener(json)), { ...env, handOff: () => undefined }, before, checked);
  for (let count = 0; ; count++) {
    const step = steps.next();
    if (step.done) return { plan: step.value, steps: count };
  }
}

const to = (serverName: string): ConnectionInfo => ({
  destinationIp: '10.0.0.1',
  destinationPort: 443,
  sourceIp: '10.0.0.2',
  sourcePort: 1,
  serverName,
  transportProtocol: 'tls',
  applicationProtocols: [],
});

const clusterAt = (plan: ListenerPlan, serverName: string) =>
  (plan.match(to(serverName))?.get().handler as { cluster?: string } | undefined)?.cluster;

const three = (b = 'b'): JsonObject[] => [chain('a.example', 'a'), chain('b.example', b), chain('*.c.example', 'c')];

test('a chain is checked once and compiled when the first connection comes to it', () => {
  const env = fakeEnvironment();
  const { plan, steps } = compile(env, listener('l', '10.0.0.1', three()));
  assert.equal(steps, 3);
  const checks = env.handlers.length;
  assert.equal(checks, 3);
  assert.equal(clusterAt(plan, 'x.c.example'), 'c');
  assert.equal(plan.match(to('x.c.example'))?.get(), plan.match(to('y.c.example'))?.get());
  assert.equal(env.handlers.length, checks + 1);
  assert.equal(plan.match(to('other')), undefined);
});

test('chains whose content stays keep their handler and its connections, wherever they stand; the matches are those of the new version', () => {
  const env = fakeEnvironment();
  const first = compile(env, listener('l', '10.0.0.1', three())).plan;
  const [a, b, c] = ['a.example', 'b.example', 'x.c.example'].map((name) => first.match(to(name))!.get());
  const second = compile(env, listener('l', '10.0.0.1', three('other')), first);
  assert.equal(second.steps, 1);
  assert.equal(second.plan.match(to('a.example'))?.get(), a);
  assert.equal(clusterAt(second.plan, 'b.example'), 'other');
  // Nothing is matched otherwise.
  assert.equal(second.plan.matcher, first.matcher);
  const third = compile(env, listener('l', '10.0.0.1', [chain('new.example', 'n'), ...three('other')]), second.plan);
  assert.equal(third.steps, 1);
  assert.equal(third.plan.match(to('x.c.example'))?.get(), c);
  assert.equal(clusterAt(third.plan, 'new.example'), 'n');
  const swapped = [chain('b.example', 'a'), chain('a.example', 'other'), chain('*.c.example', 'c'), chain('new.example', 'n')];
  const fourth = compile(env, listener('l', '10.0.0.1', swapped), third.plan).plan;
  assert.equal(clusterAt(fourth, 'b.example'), 'a');
  assert.equal(clusterAt(fourth, 'a.example'), 'other');
  // A connection keeps the version it was accepted under.
  assert.equal(first.match(to('b.example'))?.get(), b);
});

test('another traffic direction makes other chains: what they count and set depends on it', () => {
  const env = fakeEnvironment();
  const first = compile(env, listener('l', '10.0.0.1', three())).plan;
  const second = compile(env, listener('l', '10.0.0.1', three(), { trafficDirection: 'OUTBOUND' }), first);
  assert.equal(second.steps, 3);
});

test('the default chain takes what no other does, and stays as it is while it is the same', () => {
  const env = fakeEnvironment();
  const more = { defaultFilterChain: { filters: chain('', 'rest').filters! } };
  const first = compile(env, listener('l', '10.0.0.1', three(), more)).plan;
  assert.equal(clusterAt(first, 'other'), 'rest');
  const second = compile(env, listener('l', '10.0.0.1', three('other'), more), first);
  assert.equal(second.steps, 1);
  assert.equal(second.plan.match(to('other'))?.get(), first.match(to('other'))?.get());
  const third = compile(env, listener('l', '10.0.0.1', three('other')), second.plan).plan;
  assert.equal(third.match(to('other')), undefined);
});

test('what cannot be honoured is refused at once, with its place, and what was checked is not checked again', () => {
  const env = fakeEnvironment();
  const first = compile(env, listener('l', '10.0.0.1', three())).plan;
  const a = first.match(to('a.example'))!.get();
  const bad: readonly [JsonObject[], RegExp][] = [
    [
      [...three(), { name: 'bare', filterChainMatch: { serverNames: ['d'] } }],
      /listener "l".filter_chains\[3\] "bare".filters: there is no terminal/,
    ],
    [[...three(), { ...chain('d', 'd'), useProxyProto: true }], /filter_chains\[3\] "d".use_proxy_proto/],
    [[...three(), { ...chain('a.example', 'd'), name: 'again' }], /filter chains "a.example" and "again" have the same matching rules/],
    [[chain('a*b', 'd')], /server name "a\*b" has a wildcard/],
  ];
  for (const [chains, message] of bad) {
    for (const before of [undefined, first]) assert.throws(() => compile(env, listener('l', '10.0.0.1', chains), before), { message });
  }
  assert.equal(first.match(to('a.example'))?.get(), a);
  const compiled = env.handlers.length;
  assert.equal(compile(env, listener('l', '10.0.0.1', three()), undefined, true).steps, 0);
  assert.equal(env.handlers.length, compiled);
});

test('a chain that is told to drain before it is made drains when it is made', () => {
  const env = fakeEnvironment();
  const { plan } = compile(env, listener('l', '10.0.0.1', three()));
  plan.chains[0]!.drain();
  assert.equal(clusterAt(plan, 'a.example'), 'a');
  assert.deepEqual(
    env.handlers.slice(3).map(({ drained }) => drained),
    [1],
  );
});
