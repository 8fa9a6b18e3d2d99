import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closest, editDistance } from './spelling.ts';

test('edits between words', () => {
  assert.equal(editDistance('', 'abc'), 3);
  assert.equal(editDistance('route', 'route'), 0);
  assert.equal(editDistance('rotue', 'route'), 1);
  assert.equal(editDistance('resolutoin', 'resolution'), 1);
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.equal(editDistance('a', 'abcdef', 2), 3);
});

test('the likely name', () => {
  const fields = ['hosts', 'gateways', 'http', 'tls', 'tcp', 'exportTo', 'destinationSubnets'];
  assert.equal(closest('host', fields), 'hosts');
  assert.equal(closest('export_to', fields), 'exportTo');
  assert.equal(closest('ExportTo', fields), 'exportTo');
  assert.equal(closest('destinationSubnet', fields), 'destinationSubnets');
  assert.equal(closest('addresses', fields), undefined);
  assert.equal(closest('x', []), undefined);
});
