import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HostIndex } from './host-index.ts';
import { hostCovers } from './hostname.ts';

const label = fc.constantFrom('a', 'b', 'c');
const name = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.'));
const host = fc.oneof(
  name,
  name.map((text) => `*.${text}`),
  fc.constant('*'),
);

test('finds what a walk over all hosts finds', () => {
  fc.assert(
    fc.property(fc.uniqueArray(host, { maxLength: 12 }), host, (hosts, asked) => {
      const index = new HostIndex<string>();
      for (const each of hosts) index.add(each, each);
      assert.deepEqual([...index.covering(asked)].sort(), hosts.filter((each) => hostCovers(each, asked)).sort());
      assert.deepEqual([...index.coveredBy(asked)].sort(), hosts.filter((each) => hostCovers(asked, each)).sort());
      assert.deepEqual(
        [...index.overlapping(asked)].sort(),
        hosts.filter((each) => hostCovers(each, asked) || hostCovers(asked, each)).sort(),
      );
      assert.equal(
        index.overlaps(asked),
        hosts.some((each) => hostCovers(each, asked) || hostCovers(asked, each)),
      );
    }),
    { numRuns: 500, seed: 1 },
  );
});

test('the most specific comes first', () => {
  const index = new HostIndex<string>();
  for (const each of ['*', '*.com', '*.example.com', 'www.example.com']) index.add(each, each);
  assert.deepEqual(index.covering('www.example.com'), ['www.example.com', '*.example.com', '*.com', '*']);
});
