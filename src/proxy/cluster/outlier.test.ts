import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { OutlierDetectionSchema } from '../../xds/gen/envoy/config/cluster/v3/outlier_detection_pb.js';
import { type Host, HostTable } from './host.ts';
import { OutlierDetector, readOutlierDetection } from './outlier.ts';
import { hostEntry } from './testing.ts';

const ms = (n: number) => ({ seconds: BigInt(Math.floor(n / 1000)), nanos: (n % 1000) * 1e6 });

/** As many hosts as asked for, named a, b, c, …, and a clock that stands. */
function setup(config: MessageInitShape<typeof OutlierDetectionSchema>, count = 2, random = 0) {
  const table = new HostTable();
  table.update(Array.from({ length: count }, (_, i) => hostEntry(String.fromCharCode(97 + i))));
  const hosts = [...table.hosts];
  const clock = { now: 0 };
  const detector = new OutlierDetector(readOutlierDetection(create(OutlierDetectionSchema, { maxEjectionPercent: 100, ...config })), {
    now: () => clock.now,
    random: () => random,
    hosts: () => table.hosts,
    changed: () => table.regroup(),
  });
  const usable = () => table.priorities[0]!.hosts.map(({ address }) => address.ip).join('');
  return { detector, hosts: hosts as [Host, Host, ...Host[]], clock, usable };
}

test('errors in a row, not errors: a good answer begins anew', (t) => {
  const { detector, hosts, usable } = setup({});
  t.after(() => detector.close());
  const [a] = hosts;
  for (const status of [500, 501, 599, 503, 404, 500, 500, 500, 500]) detector.answered(a, status);
  assert.equal(usable(), 'ab');
  detector.answered(a, 500);
  assert.equal(usable(), 'b');
});

test('gateway errors and failures of connections count on their own, in a row too', (t) => {
  const { detector, hosts, usable } = setup({ consecutive5xx: 100, consecutiveGatewayFailure: 3, enforcingConsecutiveGatewayFailure: 100 });
  t.after(() => detector.close());
  const [a, b] = hosts;
  for (const status of [502, 503, 500, 504, 502]) detector.answered(a, status);
  assert.equal(usable(), 'ab');
  detector.failed(a, false);
  assert.equal(usable(), 'b');
  for (let i = 0; i < 3; i++) detector.failed(b, true);
  assert.equal(usable(), '');
});

test('gateway errors are 502, 503 and 504; any other answer ends the row', (t) => {
  const rows: readonly (readonly [statuses: number[], ejected: boolean])[] = [
    [[502, 502], true],
    [[504, 504], true],
    [[502, 501, 502], false],
    [[504, 505, 504], false],
    [[505, 505], false],
    [[502, 200, 502], false],
    [[502, 499, 502], false],
  ];
  for (const [statuses, ejected] of rows) {
    const made = setup({ consecutive5xx: 100, consecutiveGatewayFailure: 2, enforcingConsecutiveGatewayFailure: 100 });
    t.after(() => made.detector.close());
    for (const status of statuses) made.detector.answered(made.hosts[0], status);
    assert.equal(made.usable(), ejected ? 'b' : 'ab', statuses.join());
  }
});

test('local failures apart: connections that come up end the row, and answers say nothing of them', (t) => {
  const { detector, hosts, usable } = setup({ consecutive5xx: 1, consecutiveLocalOriginFailure: 2, splitExternalLocalOriginErrors: true });
  t.after(() => detector.close());
  const [a] = hosts;
  detector.failed(a, false);
  detector.connected(a, false);
  detector.failed(a, true);
  assert.equal(usable(), 'ab');
  detector.failed(a, true);
  assert.equal(usable(), 'b');
});

test('without local failures apart, a TCP connection is a good answer and one for HTTP is none', (t) => {
  const { detector, hosts, usable } = setup({ consecutive5xx: 2 });
  t.after(() => detector.close());
  const [a, b] = hosts;
  for (const host of [a, b]) detector.failed(host, false);
  detector.connected(a, true);
  detector.connected(b, false);
  for (const host of [a, b]) detector.failed(host, false);
  assert.equal(usable(), 'a');
});

for (const [percent, oneAtLeast, ejected] of [
  [10, false, ''],
  [33, false, ''],
  [34, false, 'a'],
  [66, false, 'a'],
  [67, false, 'ab'],
  [0, true, 'a'],
] as const) {
  test(`at most ${percent} % of three hosts${oneAtLeast ? ', one always' : ''}: ${ejected || 'none'}`, (t) => {
    const { detector, hosts } = setup({ consecutive5xx: 1, maxEjectionPercent: percent, alwaysEjectOneHost: oneAtLeast }, 3);
    t.after(() => detector.close());
    for (const host of hosts) detector.answered(host, 500);
    const out = hosts.filter((host) => host.ejected).map(({ address }) => address.ip);
    assert.equal(out.join(''), ejected);
  });
}

test('an ejection is enforced in so many of a hundred cases', (t) => {
  for (const [random, usable] of [
    [0.5, 'ab'],
    [0.49, 'b'],
  ] as const) {
    const made = setup({ consecutive5xx: 1, enforcingConsecutive5xx: 50 }, 2, random);
    t.after(() => made.detector.close());
    made.detector.answered(made.hosts[0], 500);
    assert.equal(made.usable(), usable);
  }
});

test('hosts come back after the base time, then after its multiples, never later than the longest', (t) => {
  const { detector, hosts, clock, usable } = setup({ consecutive5xx: 1, baseEjectionTime: ms(100), maxEjectionTime: ms(250) });
  t.after(() => detector.close());
  const [a] = hosts;
  for (const time of [100, 200, 250, 250]) {
    detector.answered(a, 500);
    // An error of a request that was under way changes nothing.
    detector.answered(a, 500);
    clock.now += time - 1;
    detector.check();
    assert.equal(usable(), 'b', `after ${time - 1} ms`);
    clock.now += 1;
    detector.check();
    assert.equal(usable(), 'ab', `after ${time} ms`);
  }
  // Three good intervals, and the next ejection is the base time long again.
  for (let i = 0; i < 3; i++) detector.check();
  detector.answered(a, 500);
  clock.now += 100;
  detector.check();
  assert.equal(usable(), 'ab');
});

test('what is ejected for the longest time is forgiven as soon as it has done well for as long as that took', (t) => {
  const { detector, hosts, clock, usable } = setup({ consecutive5xx: 1, baseEjectionTime: ms(100), maxEjectionTime: ms(200) });
  t.after(() => detector.close());
  const [a] = hosts;
  const eject = (time: number) => {
    detector.answered(a, 500);
    clock.now += time;
    detector.check();
    assert.equal(usable(), 'ab', `after ${time} ms`);
  };
  for (const time of [100, 200, 200]) eject(time);
  for (let i = 0; i < 2; i++) detector.check();
  eject(100);
});
