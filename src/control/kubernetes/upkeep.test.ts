import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Upkeep } from './upkeep.ts';

function failing(t: TestContext) {
  let runs = 0;
  let wake = (): void => undefined;
  const upkeep = new Upkeep(
    async () => {
      runs += 1;
      wake();
      throw new Error('one object is refused');
    },
    () => undefined,
  );
  t.after(() => upkeep.close());
  const alive = setInterval(() => undefined, 1000);
  t.after(() => clearInterval(alive));
  const until = async (count: number) => {
    while (runs < count) await new Promise<void>((resolve) => (wake = resolve));
    // The run is over when its rejection has been seen.
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { upkeep, until };
}

test('what fails again and again holds up nothing that is due after it', { timeout: 8000 }, async (t) => {
  const { upkeep, until } = failing(t);
  for (const run of [1, 2, 3]) {
    const began = performance.now();
    upkeep.due();
    await until(run);
    assert.ok(performance.now() - began < 5000);
  }
});
