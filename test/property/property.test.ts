/**
 * The simulator against the running data plane: generated configurations with generated calls come out the same way in both. `PAIRS=10000` compares so many
 * pairs of a configuration and a call, `SEED=n` others than usual; `npm run test:property` does the former.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { needs } from '../integration/tools.ts';
import { sketches } from './calls.ts';
import { configurations } from './configurations.ts';
import { newTally, Pairs } from './pairs.ts';
import { RunningMesh } from './running-mesh.ts';

const CALLS = 12;
const PAIRS = Number(process.env.PAIRS ?? 600);
const SEED = Number(process.env.SEED ?? 1);

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

  test(`agree on ${PAIRS} generated pairs of a configuration and a call (seed ${SEED})`, async (t) => {
    const tally = newTally();
    const generated = fc.tuple(configurations, fc.array(sketches, { minLength: CALLS, maxLength: CALLS, size: 'max' }));
    await fc.assert(
      fc.asyncProperty(generated, ([configuration, calls]) => pairs.check(configuration, calls, tally)),
      { seed: SEED, numRuns: Math.ceil(PAIRS / CALLS), endOnFailure: process.env.SHRINK === '0' },
    );
    t.diagnostic(`${tally.pairs} pairs; ${tally.second} looked at twice`);
    for (const [outcome, count] of [...tally.outcomes].sort((a, b) => b[1] - a[1])) t.diagnostic(`${count} ${outcome}`);
    assert.ok(tally.undecided <= tally.pairs / 100, `${tally.undecided} calls are left undecided`);
  });
});
