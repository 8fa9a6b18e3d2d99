import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PathStep } from './resource.ts';
import { DocumentSource, NestedSource } from './source.ts';
import { LineIndex, splitDocuments } from './yaml/documents.ts';

function source(text: string, document = 0): DocumentSource {
  return new DocumentSource('a.yaml', splitDocuments(text)[document]!, new LineIndex(text));
}

const at = ({ line, column }: { line: number; column: number }) => `${line}:${column}`;

test('values and keys, in block and flow style', () => {
  const text = `# comment
a:
  b: 1
  c:
  - x
  - {d: "e", 'f g': [1, 2]}
h: >-
  text
i:
`;
  const made = source(`first: 1\n---\n${text}`, 1);
  const cases: [PathStep[], string, string][] = [
    [['a'], '5:3', '4:1'],
    [['a', 'b'], '5:6', '5:3'],
    [['a', 'c', 0], '7:5', '7:5'],
    [['a', 'c', 1], '8:5', '8:5'],
    [['a', 'c', 1, 'd'], '8:9', '8:6'],
    [['a', 'c', 1, 'f g', 1], '8:25', '8:25'],
    [['a', 'c', 1, 'f g'], '8:21', '8:14'],
    [['i'], '11:1', '11:1'],
  ];
  for (const [path, value, key] of cases) {
    assert.equal(at(made.position(path)), value, path.join('.'));
    assert.equal(at(made.keyPosition(path)), key, path.join('.'));
  }
  assert.equal(at(made.position()), '4:1');
});

test('what the document does not have is where its nearest ancestor is', () => {
  const made = source('a:\n  b: {c: 1}\n');
  assert.equal(at(made.position(['a', 'b', 'x', 'y'])), '2:6');
  assert.equal(at(made.position(['z'])), '1:1');
});

test('values of aliases and merges are where they stand', () => {
  const made = source('a: &x {b: 1, c: &y [2, 3]}\nd: *x\ne:\n  <<: *x\n  b: 4\nf: *y\n? [g]\n: 5\n');
  assert.equal(at(made.position(['d', 'b'])), '1:11');
  assert.equal(at(made.position(['d'])), '2:4');
  assert.equal(at(made.position(['e', 'b'])), '5:6');
  assert.equal(at(made.position(['e', 'c', 1])), '1:24');
  assert.equal(at(made.position(['f', 0])), '1:21');
});

test('a place in the text of a literal block', () => {
  const made = source('data:\n  a: |\n    x: 1\n    y: 2\n  b: "x: 1\\ny: 2"\n');
  assert.equal(at(made.position(['data', 'a'], { line: 2, column: 4 })), '4:8');
  assert.equal(at(made.position(['data', 'b'], { line: 2, column: 4 })), '5:6');
});

test('lines that end with carriage returns, and a byte order mark', () => {
  const made = source('\ufeffa:\r\n  b: 1\r\n');
  assert.equal(at(made.position(['a', 'b'])), '2:6');
});

test('an object within a document', () => {
  const nested = new NestedSource(source('items:\n- a: 1\n  b: 2\n'), ['items', 0]);
  assert.equal(at(nested.position()), '2:3');
  assert.equal(at(nested.position(['b'])), '3:6');
  assert.equal(at(nested.keyPosition(['b'])), '3:3');
});
