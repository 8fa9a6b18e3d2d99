import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { NameTableSchema } from '../../xds/gen/istio/nds_pb.js';
import { indexNames } from '../../xds/name-index.ts';
import { answeredBy } from './asking.ts';

const info = (...ips: readonly string[]) => ({ ips: [...ips], altHosts: [] });
const TYPES = { A: 1, CNAME: 5, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33, SVCB: 64, HTTPS: 65, ANY: 255 } as const;

function answerer(table: Record<string, ReturnType<typeof info>>) {
  const names = indexNames(create(NameTableSchema, { table }));
  return (type: keyof typeof TYPES, name: string) => {
    const by = answeredBy({ name, type: TYPES[type] }, names);
    return by.kind === 'mesh' ? by.ips.join() : by.kind;
  };
}

const TABLE = { 'db.example': info('240.240.0.1', '2001:db8::5'), '*.wild.example': info(), 'plain.example': info() };

test('addresses are the mesh’s to say, and what stands for them; other records of declared hosts have other name servers', () => {
  const ask = answerer(TABLE);
  for (const type of ['A', 'AAAA', 'SVCB', 'HTTPS', 'ANY'] as const) assert.equal(ask(type, 'db.example'), '240.240.0.1,2001:db8::5', type);
  for (const type of ['TXT', 'MX', 'CNAME', 'SRV'] as const) assert.equal(ask(type, 'db.example'), 'others', type);
  for (const name of ['plain.example', 'a.wild.example'])
    for (const type of ['A', 'HTTPS', 'TXT'] as const) assert.equal(ask(type, name), 'others');
  for (const type of ['A', 'TXT', 'SRV', 'PTR'] as const) assert.equal(ask(type, 'other.example'), 'nobody', type);
});

test('SRV is asked of services of declared hosts alone, by names that carry no more than a service has', () => {
  const ask = answerer(TABLE);
  assert.equal(ask('SRV', '_redis._tcp.db.example'), 'others');
  assert.equal(ask('SRV', '_redis._tcp.other.example'), 'nobody');
  assert.equal(ask('SRV', `_${'s'.repeat(15)}._udp.db.example`), 'others');
  for (const name of [
    `_${'s'.repeat(16)}._tcp.db.example`,
    '_redis._data.db.example',
    'x._redis._tcp.db.example',
    '_a._tcp._b._tcp.db.example',
  ])
    assert.equal(ask('SRV', name), 'nobody', name);
  assert.equal(ask('TXT', '_redis._tcp.db.example'), 'nobody');
});

test('PTR is asked of addresses that the mesh names', () => {
  const ask = answerer(TABLE);
  assert.equal(ask('PTR', '1.0.240.240.in-addr.arpa'), 'others');
  assert.equal(ask('PTR', `5.${'0.'.repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa`), 'others');
  for (const name of ['2.0.240.240.in-addr.arpa', '0.240.240.in-addr.arpa', 'x.1.0.240.240.in-addr.arpa', '1.0.240.999.in-addr.arpa'])
    assert.equal(ask('PTR', name), 'nobody', name);
  assert.equal(ask('A', '1.0.240.240.in-addr.arpa'), 'nobody');
});

test('where all may be called all may be asked', () => {
  const ask = answerer({ ...TABLE, '*': info() });
  for (const [type, name] of [
    ['A', 'other.example'],
    ['SRV', '_x._tcp.other.example'],
    ['PTR', '1.2.0.192.in-addr.arpa'],
  ] as const)
    assert.equal(ask(type, name), 'others');
});
