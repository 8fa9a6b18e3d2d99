/**
 * The simulator against the running data plane: generated configurations with generated calls come out the same way in both, and what `verify` proves or
 * refutes by simulation holds in real traffic. `PAIRS=10000` compares so many pairs of a configuration and a call, `SEED=n` others than usual;
 * `npm run test:property` does the former.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { parseAllDocuments } from 'yaml';
import type { Trace } from '../../src/simulate/trace.ts';
import { needs } from '../integration/tools.ts';
import { callOf, declaredBy, sketches } from './calls.ts';
import { configurations } from './configurations.ts';
import { FOUND } from './found.ts';
import { lookup, newTally, Pairs } from './pairs.ts';
import { RunningMesh } from './running-mesh.ts';
import { checkVerify, type VerifyTally } from './verified.ts';

/** Calls under one configuration; some name hosts without an address, and are none. */
const CALLS = 12;
/** So many of them are calls, as seldom as it comes. */
const REAL_CALLS = 8;
const PAIRS = Number(process.env.PAIRS ?? 480);
const SEED = Number(process.env.SEED ?? 1);
/** Configurations that `verify` is held against. */
const VERIFIED = Math.max(6, Math.ceil(PAIRS / 80));

describe('the simulator and the running data plane', {
  skip: process.platform === 'linux' ? needs('openssl') : 'needs Linux: all of 127/8 local',
}, () => {
  let mesh: RunningMesh;
  let pairs: Pairs;
  before(async () => {
    mesh = await RunningMesh.start();
    pairs = new Pairs(mesh);
  });
  after(() => mesh.close());

  for (const { name, mode = 'REGISTRY_ONLY', config, call: sketch, expect } of FOUND) {
    test(`found once: ${name}`, async () => {
      const documents = parseAllDocuments(config.join('---\n')).map((document) => document.toJS() as object);
      const files = pairs.files({ mesh: { outboundTrafficPolicy: { mode } }, documents });
      assert.equal(await pairs.apply(files), undefined);
      const whole = { from: 'sleep' as const, tls: undefined, http: undefined, ...sketch };
      const found = callOf(whole, declaredBy(documents), (host, pod) => lookup(files, host, pod));
      assert.ok(found, 'the name is known');
      const [trace, ...others] = pairs.simulate(files, found.pod, found.call);
      assert.equal(others.length, 0, 'chance decides nothing');
      assert.equal(describeTrace(trace!), expect);
      assert.equal(await pairs.compare(files, found.pod, found.call, newTally()), undefined);
    });
  }

  test(`agree on ${PAIRS} generated pairs of a configuration and a call (seed ${SEED})`, async (t) => {
    const tally = newTally();
    const generated = fc.tuple(configurations, fc.array(sketches, { minLength: CALLS, maxLength: CALLS, size: 'max' }));
    await fc.assert(
      fc.asyncProperty(generated, ([configuration, calls]) => pairs.check(configuration, calls, tally)),
      { seed: SEED, numRuns: Math.ceil(PAIRS / REAL_CALLS), endOnFailure: process.env.SHRINK === '0' },
    );
    assert.ok(tally.pairs >= PAIRS, `only ${tally.pairs} pairs`);
    t.diagnostic(`${tally.pairs} pairs, of which ${tally.second} were looked at twice and ${tally.undecided} left undecided`);
    for (const [outcome, count] of [...tally.outcomes].sort((a, b) => b[1] - a[1])) t.diagnostic(`${count} ${outcome}`);
    assert.ok(tally.undecided <= tally.pairs / 50, `${tally.undecided} calls are left undecided`);
  });

  test(`verify: proofs and counterexamples of ${VERIFIED} configurations hold (seed ${SEED})`, async (t) => {
    const tally: VerifyTally = { proved: 0, refuted: 0, undecided: 0, space: 0, made: 0 };
    await fc.assert(
      fc.asyncProperty(configurations, (configuration) => checkVerify(pairs, configuration, tally)),
      { seed: SEED, numRuns: VERIFIED, endOnFailure: process.env.SHRINK === '0' },
    );
    t.diagnostic(JSON.stringify(tally));
    assert.ok(tally.proved > 0 && tally.refuted > 0 && tally.made > 0, 'all of it occurs');
  });
});

/** `sleep CLUSTER > egress CLUSTER: how it ends`. */
function describeTrace({ hops, outcome }: Trace): string {
  const way = hops.map(({ proxy, cluster }) => `${proxy.slice(proxy.indexOf('/') + 1)} ${cluster}`.trim()).join(' > ');
  if (outcome.kind === 'reply') return `${way}: ${outcome.status}`;
  if (outcome.kind !== 'upstream') return `${way}: ${outcome.kind}`;
  const { tls, http } = outcome.payload;
  const secured = tls ? ` in TLS${tls.serverName ? ` with SNI ${tls.serverName}` : ''}` : '';
  if (!http) return `${way}: bytes${secured}`;
  const headers = [...http.headers].filter(([name]) => /^x-(t-)?[ab]$/.test(name)).map(([name, value]) => `${name}=${value}`);
  return `${way}: ${http.method} ${http.authority} ${http.path} [${headers.sort().join(' ')}]${secured}`;
}
