import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { parseIp } from '../../lib/ip.ts';
import { MetadataSchema } from '../gen/envoy/config/core/v3/base_pb.js';
import { originsOf, refusalOf } from './metadata.ts';
import { addressRefusal, portRefusal, reachOf } from './reach.ts';

const metadata = (sallyport: { [key: string]: JsonValue }) => fromJson(MetadataSchema, { filterMetadata: { sallyport } });
const reach = (value: JsonValue) => reachOf(metadata({ reach: value }));

test('ports and ranges that a cluster may connect to; what is no list allows nothing', () => {
  const { ports, ranges } = reach({ ports: [80, '81'], ranges: ['10.0.0.0/8', 'x', 4] })!;
  assert.deepEqual([ports, ranges.length], [[80], 1]);
  assert.deepEqual(reach({ ports: 80, ranges: '10.0.0.0/8' }), { ports: [], ranges: [] });
  for (const none of [null, 'x', [1]]) assert.equal(reach(none), undefined);
  assert.deepEqual([reachOf(undefined), reachOf(fromJson(MetadataSchema, {}))], [undefined, undefined]);
});

test('a port that is not declared is refused, and an address of special use that no range holds', () => {
  const found = reach({ ports: [80, 443], ranges: ['10.1.0.0/16'] })!;
  assert.equal(portRefusal(found, 443), undefined);
  assert.equal(portRefusal(found, 22), 'port 22 is not declared, only 80, 443');
  assert.equal(portRefusal(reach({})!, 22), 'port 22 is not declared, only none');
  const refused = (ip: string) => addressRefusal(found, parseIp(ip)!);
  assert.deepEqual([refused('8.8.8.8'), refused('10.1.2.3')], [undefined, undefined]);
  for (const special of ['10.2.0.1', '127.0.0.1', '169.254.169.254', '::1']) assert.match(refused(special) ?? '', / is /, special);
});

test('origins and refusals are read as far as they are whole', () => {
  const origins: JsonValue[] = [
    { kind: 'ServiceEntry', namespace: 'n', name: 'a', file: 'a.yaml', line: 3 },
    { kind: 'Sidecar', name: 'b', namespace: 1, file: 2, line: 'x' },
    { kind: 'Gateway' },
    { name: 'c' },
    'd',
    null,
    [],
  ];
  assert.deepEqual(originsOf(metadata({ origins })), [
    { kind: 'ServiceEntry', namespace: 'n', name: 'a', file: 'a.yaml', line: 3 },
    { kind: 'Sidecar', namespace: '', name: 'b', file: undefined, line: undefined },
  ]);
  for (const none of [undefined, metadata({}), metadata({ origins: {} })]) assert.deepEqual(originsOf(none), []);
  const refusals: { [key: string]: JsonValue }[] = [{ refusal: 'why' }, { refusal: '' }, { refusal: 7 }, {}];
  assert.deepEqual(
    refusals.map((value) => refusalOf(metadata(value))),
    ['why', undefined, undefined, undefined],
  );
  assert.equal(refusalOf(undefined), undefined);
});
