import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { parseHosts, parseResolvConf } from '../proxy/dns/system.ts';
import { NameTableSchema } from './gen/istio/nds_pb.js';
import { indexNames } from './name-index.ts';

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
