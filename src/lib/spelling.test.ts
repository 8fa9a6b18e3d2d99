import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closest, editDistance, Suggestions } from './spelling.ts';

test('edits between words', () => {
  assert.equal(editDistance('', 'abc'), 3);
  assert.equal(editDistance('route', 'route'), 0);
  assert.equal(editDistance('rotue', 'route'), 1);
  assert.equal(editDistance('resolutoin', 'resolution'), 1);
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.equal(editDistance('a', 'abcdef', 2), 3);
  assert.equal(editDistance('ab', 'ba'), 1, 'at the beginning');
  assert.equal(editDistance('abcd', 'badc'), 2, 'two of them');
  assert.equal(editDistance('abcdef', 'uvwxyz', 2), 3, 'more than are counted');
  assert.equal(editDistance('ab', 'ba', 1), 1, 'no more than are counted');
  assert.equal(editDistance('abcd', 'badc', 1), 2);
});

test('the likely name', () => {
  const fields = ['hosts', 'gateways', 'http', 'tls', 'tcp', 'exportTo', 'destinationSubnets'];
  assert.equal(closest('host', fields), 'hosts');
  assert.equal(closest('export_to', fields), 'exportTo');
  assert.equal(closest('ExportTo', fields), 'exportTo');
  assert.equal(closest('destinationSubnet', fields), 'destinationSubnets');
  assert.equal(closest('addresses', fields), undefined);
  assert.equal(closest('x', []), undefined);
  // A third of its letters may be wrong, and one of a short word.
  assert.deepEqual([closest('abcdef', ['abcdxy']), closest('abcdef', ['abcxyz'])], ['abcdxy', undefined]);
  assert.deepEqual([closest('ab', ['ax']), closest('ab', ['xy'])], ['ax', undefined]);
});

test('among many names, and for many, the likely one is found all the same', () => {
  const names = Array.from({ length: 2000 }, (_, i) => `svc-${i}.ext.example.com`);
  const suggestions = new Suggestions(names);
  for (let i = 0; i < 2000; i++) assert.equal(suggestions.near(`svc-${i}.ext.exmaple.com`), `svc-${i}.ext.example.com`);
  assert.equal(suggestions.near('www.elsewhere.org'), undefined);
});

test('a few names are compared whole', () => {
  const suggestions = new Suggestions(['www.example.com', 'api.example.com']);
  assert.equal(suggestions.near('ww.exmple.com'), 'www.example.com');
  assert.equal(suggestions.near('redis.internal'), undefined);
});
