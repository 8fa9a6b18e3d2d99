import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonPatch, type Operation } from './json-patch.ts';

type Place = Record<string, unknown>;

function applied(value: unknown, operations: readonly Operation[]): unknown {
  const root: Place = { '': structuredClone(value) };
  for (const operation of operations) {
    const steps = operation.path.split('/').map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = steps.pop()!;
    const parent = steps.reduce<Place>((place, step) => place[step] as Place, root);
    if (operation.op !== 'add') assert.ok(last in parent, `${operation.path} is not there`);
    if (operation.op === 'remove') delete parent[last];
    else parent[last] = structuredClone(operation.value);
  }
  return root[''];
}

test('a patch makes the one of the other', () => {
  const key = fc.constantFrom('a', 'b', 'a/b', '~', '', 'sidecar.istio.io/status');
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<unknown>(null, 1, 'x', true),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
    ),
  }));
  fc.assert(
    fc.property(value, value, (from, to) => {
      assert.deepEqual(applied(from, jsonPatch(from, to)), to);
      assert.deepEqual(jsonPatch(from, from), []);
    }),
    { numRuns: 2000, seed: 12 },
  );
});
