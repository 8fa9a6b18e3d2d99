import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MemberResults } from './member-results.ts';

test('members that stay have the result that they had, wherever they stand; the others are made', () => {
  const all = Array.from({ length: 6 }, (_, at) => ({ at }));
  const lists = fc.array(fc.subarray(all).chain((some) => fc.shuffledSubarray(some, { minLength: some.length })));
  fc.assert(
    fc.property(lists, (given) => {
      const kept = new MemberResults<{ at: number }, { of: object }>();
      let before = new Map<object, object>();
      for (const list of given) {
        const made: object[] = [];
        const results = kept.of(list, (member) => {
          made.push(member);
          return { of: member };
        });
        assert.deepEqual(
          results.map((result) => result.of),
          list,
        );
        assert.deepEqual(
          made,
          list.filter((member) => !before.has(member)),
        );
        for (const [i, member] of list.entries()) if (before.has(member)) assert.equal(results[i], before.get(member));
        assert.equal(
          kept.of(list, () => assert.fail('made again')),
          results,
        );
        before = new Map(list.map((member, i) => [member, results[i]!]));
      }
    }),
    { seed: 1 },
  );
});
