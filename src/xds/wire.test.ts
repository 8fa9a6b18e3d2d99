import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { VirtualHostSchema } from './gen/envoy/config/route/v3/route_components_pb.js';
import { RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.js';
import { lastValue, sameBytes, splitMessage } from './wire.ts';

const { virtualHosts } = RouteConfigurationSchema.field;
const { name } = VirtualHostSchema.field;

const bytes = toBinary(
  RouteConfigurationSchema,
  create(RouteConfigurationSchema, {
    name: 'rc',
    virtualHosts: [
      { name: 'a', domains: ['a.example', 'x'] },
      { name: 'b', domains: ['b.example'] },
    ],
    internalOnlyHeaders: ['x-a'],
    maxDirectResponseBodySizeBytes: 7,
  }),
);

test('a repeated field is taken out of a message, and the rest is a message', () => {
  const { rest, parts } = splitMessage(bytes, virtualHosts.number);
  assert.deepEqual(
    parts.map((part) => fromBinary(VirtualHostSchema, part).domains),
    [['a.example', 'x'], ['b.example']],
  );
  const config = fromBinary(RouteConfigurationSchema, rest);
  assert.equal(config.name, 'rc');
  assert.deepEqual(config.virtualHosts, []);
  assert.deepEqual(config.internalOnlyHeaders, ['x-a']);
  assert.equal(config.maxDirectResponseBodySizeBytes, 7);
});

test('the parts are views, and bytes in memory that threads share are read alike', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  const { parts } = splitMessage(shared, virtualHosts.number);
  assert.equal(parts[1]!.buffer, shared.buffer);
  assert.equal(new TextDecoder().decode(lastValue(parts[1]!, name.number)), 'b');
  assert.equal(fromBinary(VirtualHostSchema, parts[0]!).name, 'a');
  assert.ok(sameBytes(parts[0]!, splitMessage(bytes, virtualHosts.number).parts[0]!));
});

test('of a value that stands twice the last one counts, as in decoding; a field that is not there has none', () => {
  const twice = Buffer.concat([toBinary(VirtualHostSchema, create(VirtualHostSchema, { name: 'old' })), splitMessage(bytes, 2).parts[0]!]);
  assert.equal(Buffer.from(lastValue(twice, name.number)!).toString(), 'a');
  assert.equal(fromBinary(VirtualHostSchema, twice).name, 'a');
  assert.equal(lastValue(twice, 99), undefined);
});

test('bytes that are no message are refused as decoding refuses them', () => {
  const cut = bytes.subarray(0, bytes.length - 1);
  assert.throws(() => splitMessage(bytes.subarray(0, 9), virtualHosts.number), /premature EOF/);
  assert.throws(() => fromBinary(RouteConfigurationSchema, bytes.subarray(0, 9)), /premature EOF/);
  assert.throws(() => splitMessage(cut, virtualHosts.number));
});
