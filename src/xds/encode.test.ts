import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { encoded, routesPatch } from './encode.ts';
import { ListenerSchema } from './gen/envoy/config/listener/v3/listener_pb.js';
import { VirtualHostSchema } from './gen/envoy/config/route/v3/route_components_pb.js';
import { RouteConfigurationSchema } from './gen/envoy/config/route/v3/route_pb.js';

const host = (name: string) => create(VirtualHostSchema, { name, domains: [name, 'x'.repeat(300)] });
const routes = (...virtualHosts: ReturnType<typeof host>[]) =>
  create(RouteConfigurationSchema, { name: 'r', virtualHosts, ignorePortInHostMatching: true });

test('bytes put together from parts are the message', () => {
  const message = routes(host('a'), host('b'), host('a'));
  assert.deepEqual(fromBinary(RouteConfigurationSchema, encoded(RouteConfigurationSchema, message).bytes()), message);
  const listener = create(ListenerSchema, {
    name: 'l',
    filterChains: [{ name: 'one' }, { name: 'two' }],
    defaultFilterChain: { name: 'rest' },
    bindToPort: false,
  });
  assert.deepEqual(
    fromBinary(ListenerSchema, encoded(ListenerSchema, listener).bytes()),
    fromBinary(ListenerSchema, toBinary(ListenerSchema, listener)),
  );
});

test('the version follows from the content alone', () => {
  const version = (...names: string[]) => encoded(RouteConfigurationSchema, routes(...names.map(host))).version;
  assert.equal(version('a', 'b'), version('a', 'b'));
  assert.notEqual(version('a', 'b'), version('b', 'a'));
  assert.notEqual(version('a', 'b'), version('a'));
  // What another process finds, too.
  assert.equal(version('a', 'b'), '6abdb4696164d30f');
});

test('a part that several messages have is encoded once and whole in each', () => {
  const [a, b, c] = [host('a'), host('b'), host('c')];
  const first = routes(a, b);
  const before = encoded(RouteConfigurationSchema, first).bytes().slice();
  // Encoding reads every field of a part: this one can be read no more.
  Object.defineProperty(a, 'routes', {
    get: () => assert.fail('encoded again'),
  });
  const second = encoded(RouteConfigurationSchema, routes(c, a));
  assert.deepEqual(
    fromBinary(RouteConfigurationSchema, second.bytes()).virtualHosts.map(({ name }) => name),
    ['c', 'a'],
  );
  assert.deepEqual(encoded(RouteConfigurationSchema, first).bytes(), before);
});

test('a message is put together when its bytes are asked for, and then once', () => {
  const made = encoded(RouteConfigurationSchema, routes(host('a'), host('b')));
  assert.equal(made.bytes(), made.bytes());
  const large = routes(...Array.from({ length: 300 }, (_, i) => host(`h${i}`)));
  const { bytes } = encoded(RouteConfigurationSchema, large);
  assert.ok(bytes().buffer instanceof SharedArrayBuffer);
  assert.deepEqual(fromBinary(RouteConfigurationSchema, bytes()), large);
});

test('a patch names what stays in runs and holds what is new', () => {
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(host);
  const before = encoded(RouteConfigurationSchema, routes(a!, b!, c!, d!));
  const patchTo = (...hosts: ReturnType<typeof host>[]) => routesPatch(before, encoded(RouteConfigurationSchema, routes(...hosts)));
  const shape = (patch: ReturnType<typeof patchTo>) =>
    patch?.hosts.map((run) => (run instanceof Uint8Array ? fromBinary(VirtualHostSchema, run).name : `${run.start}-${run.end}`));
  // One that says the same is no other, whatever object it is.
  assert.deepEqual(shape(patchTo(a!, host('b'), host('x'), d!)), ['0-2', 'x', '3-4']);
  assert.deepEqual(shape(patchTo(host('x'), a!, b!, c!, d!)), ['x', '0-4']);
  assert.deepEqual(shape(patchTo(a!, c!, d!)), ['0-1', '2-4']);
  assert.deepEqual(shape(patchTo(d!, a!, b!, c!)), ['3-4', '0-3']);
  assert.deepEqual(shape(patchTo()), []);
  assert.equal(patchTo(a!, b!)?.base, before.version);
  assert.equal(shape(patchTo(host('x'), host('y'), a!)), undefined);
});
