/** Fields of HTTP/2 put together to a head. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Field } from './field.ts';
import { FieldBlock, MALFORMED } from './field-block.ts';

function block(fields: readonly (readonly [name: string, value: string])[], maxHeaders = 3): FieldBlock {
  const made = new FieldBlock({ maxHeadBytes: 200, maxHeaders });
  for (const [name, value] of fields) made.add(new Field(name, value));
  return made;
}

const REQUEST = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/'],
  [':authority', 'www.example.com'],
] as const;

test('the crumbs of a cookie are one field, however many there are', () => {
  const crumbs = ['a=1', 'b=2', 'c=3', 'd=4', 'e=5'].map((crumb) => ['cookie', crumb] as const);
  const made = block([...REQUEST, ['accept', '*/*'], ...crumbs, ['x-last', '1']]);
  assert.equal(made.problem, undefined);
  assert.deepEqual(made.headers.flat, ['accept', '*/*', 'cookie', 'a=1; b=2; c=3; d=4; e=5', 'x-last', '1']);
  assert.equal(block([...REQUEST, ...crumbs, ['a', ''], ['b', ''], ['c', '']]).problem, 'http2.too_many_headers');
  const long = Array.from({ length: 100 }, () => ['cookie', 'a=1'] as const);
  assert.equal(block([...REQUEST, ...long]).problem, 'http2.header_list_size_too_large');
});

test('what makes a message malformed is found in any place', () => {
  for (const fields of [
    [['accept', '*/*'], ...REQUEST],
    [['cookie', 'a=1'], ...REQUEST],
    [...REQUEST, [':path', '/other']],
    [...REQUEST, ['Upper', '1']],
    [...REQUEST, ['connection', 'close']],
    [...REQUEST, ['te', 'gzip']],
    [...REQUEST, ['x', 'a\r\nb: c']],
    [...REQUEST, ['x', ' padded']],
    [...REQUEST, ['host', 'a'], ['host', 'a']],
    [...REQUEST, ['content-length', '1'], ['content-length', '1']],
    [...REQUEST, ['content-length', '-1']],
    [...REQUEST, [':unknown', '1']],
  ] as const)
    assert.equal(block(fields).problem, MALFORMED, JSON.stringify(fields));
});
