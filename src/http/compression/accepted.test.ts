import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chosenEncoding } from './accepted.ts';

const offered = (...names: string[]) => names.map((name) => ({ name, chooseFirst: false }));

test('the encoding that the client likes best, of those that are there', () => {
  assert.equal(chosenEncoding('gzip;q=0.5, br;q=0.9', offered('gzip', 'br')), 'br');
  assert.equal(chosenEncoding('gzip, br', offered('gzip', 'br')), 'gzip');
  assert.equal(chosenEncoding('gzip, br', [...offered('gzip'), { name: 'br', chooseFirst: true }]), 'br');
  assert.equal(chosenEncoding('deflate, br', offered('gzip')), 'identity');
  assert.equal(chosenEncoding('*', offered('zstd', 'gzip')), 'zstd');
  assert.equal(chosenEncoding('zstd;q=0, *', offered('zstd', 'gzip')), 'gzip');
});

test('none for who asks for none, refuses all, or says what can’t be read', () => {
  for (const accept of ['', ',', 'identity', 'gzip;q=0', 'gzip;q=', 'gzip;q=one', 'GZIP', '*;q=0'])
    assert.equal(chosenEncoding(accept, offered('gzip')), 'identity', accept);
});
