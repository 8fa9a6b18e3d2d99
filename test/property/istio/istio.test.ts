/**
 * Generated calls under generated configurations take the same way by what is translated here and by what Istio's own code makes of it. `CONFIGURATIONS=1000`
 * compares so many, `SEED=n` others than usual.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { needs } from '../../integration/tools.ts';
import { sketches } from '../calls.ts';
import { configurations as ordinary } from '../configurations.ts';
import { gatewayApi, governed } from './more.ts';
import { callsToServices, serviced } from './services.ts';
import { streamRoutes } from './streams.ts';
import { newTally, Translations } from './translations.ts';

const COUNT = Number(process.env.CONFIGURATIONS ?? 150);
const SEED = Number(process.env.SEED ?? 1);
/** Calls under each; some name hosts without an address, and are none. */
const CALLS = 12;
/** At a configuration under which calls differ. */
const LOOKS = 4;

describe('translations, beside Istio’s own', { skip: needs('go', 'openssl') }, () => {
  let translations: Translations;
  before(
    async () => {
      translations = await Translations.start();
    },
    { timeout: 1_200_000 },
  );
  after(() => translations?.end());

  for (const [what, configurations, share, called] of [
    ['configurations', ordinary, 1, sketches],
    ['configurations with policies', governed, 0.5, sketches],
    ['configurations with the Gateway API', gatewayApi, 0.5, sketches],
    ['configurations with Services', serviced, 0.5, callsToServices],
    ['configurations with routes of connections and gRPC', streamRoutes, 0.5, sketches],
  ] as const) {
    const count = Math.ceil(COUNT * share);
    test(`agree on calls under ${count} generated ${what} (seed ${SEED})`, { timeout: count * 2000 + 60_000 }, async (t) => {
      const tally = newTally();
      const generated = fc.tuple(configurations, fc.array(called, { minLength: CALLS, maxLength: CALLS, size: 'max' }));
      await fc.assert(
        fc.asyncProperty(generated, async ([configuration, calls]) => {
          // What Istio leaves to chance, as the order of a map, comes out otherwise another time.
          for (let looks = 0; looks < LOOKS; looks++) {
            const [found] = await translations.differences(configuration, calls, tally);
            if (found === undefined) return;
            if (looks === LOOKS - 1) throw new Error(found);
          }
        }),
        { seed: SEED, numRuns: count, endOnFailure: process.env.SHRINK === '0' },
      );
      t.diagnostic(
        `${tally.calls} calls: ${tally.meant} differ as they are meant to, ${tally.undecided} are undecided, ${tally.refused} come to what no Envoy takes of Istio; ${tally.objects} objects, ${tally.invalid} refused by both`,
      );
      assert.deepEqual(tally.failed, []);
      assert.ok(tally.calls > count * 8 && tally.meant + tally.undecided + tally.refused < tally.calls / 20);
    });
  }
});
