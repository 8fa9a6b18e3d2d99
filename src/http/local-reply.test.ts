import assert from 'node:assert/strict';
import { test } from 'node:test';
import { httpStatusOf } from './local-reply.ts';

test('a status of gRPC that nobody knows counts as 500, whatever the server calls it', () => {
  assert.deepEqual(
    ['0', '16', undefined, '99', 'constructor', 'toString'].map((status) => httpStatusOf(status)),
    [200, 401, 500, 500, 500, 500],
  );
});
