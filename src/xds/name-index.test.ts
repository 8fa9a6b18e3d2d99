import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { NameTableSchema } from './gen/istio/nds_pb.js';
import { indexEncodedNames, indexNames } from './name-index.ts';

test('exact names before wildcards, longer wildcards before shorter, alternatives last', () => {
  const table = create(NameTableSchema, {
    table: {
      'a.b.example.com': { ips: ['1'], altHosts: ['a', 'x.example.com'] },
      '*.b.example.com': { ips: ['2'] },
      '*.example.com': { ips: ['3'] },
      'x.example.com': { ips: ['4'] },
    },
  });
  const { lookup, size } = indexNames(table);
  const found = (name: string) => lookup(name)?.join();
  assert.deepEqual(['A.b.example.com', 'z.b.example.com', 'y.z.example.com', 'a', 'x.example.com', 'example.com', 'b'].map(found), [
    '1',
    '2',
    '3',
    '1',
    '4',
    undefined,
    undefined,
  ]);
  assert.equal(size, 4);
});

test('what `*` stands for is asked about, and not declared', () => {
  const { lookup, declares } = indexNames(create(NameTableSchema, { table: { '*': {}, '*.example.com': {}, 'b.test': { ips: ['1'] } } }));
  assert.deepEqual(
    ['other.test', 'A.example.com', 'B.test'].map((name) => [lookup(name), declares(name)]),
    [
      [[], false],
      [[], true],
      [['1'], true],
    ],
  );
});

test('an encoded table is indexed in steps, and answers as one that was decoded', () => {
  const table = create(NameTableSchema, {
    table: {
      ...Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`n${i}.example.com`, { ips: [`${i}`] }])),
      '*.example.com': { ips: ['3'] },
      'A.example.com.': { ips: ['5'], altHosts: ['n7.example.com', 'short'] },
      'empty.example.com': {},
    },
  });
  const whole = indexNames(table);
  const steps = indexEncodedNames(toBinary(NameTableSchema, table));
  let count = 0;
  let step = steps.next();
  for (; !step.done; step = steps.next()) count++;
  assert.equal(count, 10);
  const read = step.value;
  assert.equal(read.size, whole.size);
  for (const name of [
    'n0.example.com',
    'N999.example.com',
    'n7.example.com',
    'q.example.com',
    'a.example.com',
    'short',
    'empty.example.com',
    'x',
  ])
    assert.deepEqual(read.lookup(name), whole.lookup(name), name);
  assert.throws(() => indexEncodedNames(Uint8Array.of(10, 5, 10)).next(), /premature EOF/);
});
