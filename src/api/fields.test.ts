import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldsOf } from './fields.ts';
import { KINDS, type Kind } from './index.ts';

test('every kind lists its fields, none twice', () => {
  for (const kind of [...(Object.keys(KINDS) as Kind[]), 'MeshConfig' as const]) {
    const paths = fieldsOf(kind).map(({ path }) => path);
    assert.ok(paths.length > 0, kind);
    assert.equal(new Set(paths).size, paths.length, kind);
  }
});

test('lists, maps, deprecated spellings and required fields', () => {
  const fields = new Map(fieldsOf('VirtualService').map((field) => [field.path, field]));
  assert.equal(fields.get('http[].match[].headers.*.exact')?.type, 'string');
  assert.equal(fields.get('http[].route[].destination.host')?.required, true);
  assert.equal(fields.get('http[].mirrorPercent')?.deprecated, true);
  assert.equal(fields.get('http[].timeout')?.type, 'duration');
  const paths = [...fields.keys()];
  assert.ok(paths.indexOf('http[].route') < paths.indexOf('http[].route[].weight'));
});
