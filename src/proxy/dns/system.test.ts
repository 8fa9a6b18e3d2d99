import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHosts, parseResolvConf } from './system.ts';

test('the system files', () => {
  assert.deepEqual(
    [...parseHosts('127.0.0.1 localhost Host # c\n::1 localhost\n\n# x\n')],
    [
      ['localhost', ['127.0.0.1', '::1']],
      ['host', ['127.0.0.1']],
    ],
  );
  assert.deepEqual(parseResolvConf('nameserver 10.0.0.1\nsearch a.test b.test\noptions ndots:5 timeout:1\n; x\nnameserver ::1\n'), {
    servers: ['10.0.0.1', '::1'],
    search: ['a.test', 'b.test'],
    ndots: 5,
  });
});
