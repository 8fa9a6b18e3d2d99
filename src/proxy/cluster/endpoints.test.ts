import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { AddressSchema } from '../../xds/gen/envoy/config/core/v3/address_pb.js';
import { ClusterLoadAssignmentSchema } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { readAddress, readEndpoints, requireAddresses } from './endpoints.ts';

const socket = (address: string, more: JsonObject = { port_value: 80 }): JsonObject => ({ socket_address: { address, ...more } });
const endpoint = (address: JsonObject, more: JsonObject = {}): JsonObject => ({ endpoint: { address }, ...more });
const read = (...groups: JsonObject[]) =>
  readEndpoints(fromJson(ClusterLoadAssignmentSchema, { cluster_name: 'c', endpoints: groups }), 'c');

test('what an endpoint does not say: weight 1, priority 0, healthy, in a group of its own', () => {
  const [first, second] = read({ lb_endpoints: [endpoint(socket('192.0.2.1'))] }, { lb_endpoints: [endpoint(socket('192.0.2.2'))] });
  assert.deepEqual(first, {
    address: { ip: '192.0.2.1', port: 80 },
    hostname: '',
    weight: 1,
    priority: 0,
    locality: '#0',
    localityWeight: 0,
    healthy: true,
    transportMatch: undefined,
    workload: '',
    internal: undefined,
  });
  assert.equal(second?.locality, '#1');
});

test('what it says', () => {
  const metadata = { filter_metadata: { 'envoy.transport_socket_match': { tlsMode: 'istio' }, istio: { workload: 'w;ns;;;' } } };
  const [found] = read({
    locality: { region: 'r', zone: 'z' },
    load_balancing_weight: 3,
    priority: 2,
    lb_endpoints: [{ ...endpoint(socket('192.0.2.1'), { load_balancing_weight: 5, metadata }) }],
  });
  assert.deepEqual([found?.locality, found?.localityWeight, found?.priority, found?.weight], ['r/z/', 3, 2, 5]);
  assert.deepEqual([found?.workload, found?.transportMatch], ['w;ns;;;', { tlsMode: 'istio' }]);
  for (const part of ['zone', 'sub_zone'])
    assert.notEqual(read({ locality: { [part]: 'x' }, lb_endpoints: [endpoint(socket('192.0.2.1'))] })[0]?.locality, '#0');
});

test('only what is known to be unable to serve is not healthy', () => {
  const healthy = (health_status: string) => read({ lb_endpoints: [endpoint(socket('192.0.2.1'), { health_status })] })[0]?.healthy;
  for (const usable of ['UNKNOWN', 'HEALTHY', 'DEGRADED']) assert.equal(healthy(usable), true, usable);
  for (const unusable of ['UNHEALTHY', 'DRAINING', 'TIMEOUT']) assert.equal(healthy(unusable), false, unusable);
});

test('where only addresses may stand, a name is refused; unix sockets are no names', () => {
  requireAddresses(
    read({ lb_endpoints: [endpoint(socket('192.0.2.1')), endpoint(socket('::1')), endpoint({ pipe: { path: '/run/a' } })] }),
    'c',
  );
  const named = read({ lb_endpoints: [endpoint(socket('192.0.2.1')), endpoint(socket('a.example'))] });
  assert.throws(() => requireAddresses(named, 'c'), { code: 'xds-invalid', message: /"a\.example" is no IP address/ });
});

test('an endpoint behind an internal listener is called by its name, and has what it says to that', () => {
  const address = { envoy_internal_address: { server_listener_name: 'l', endpoint_id: 'a:80' } };
  const [found] = read({ lb_endpoints: [endpoint(address, { metadata: { filter_metadata: { f: { host: 'a' } } } })] });
  assert.deepEqual(
    [found?.address, found?.internal],
    [
      { ip: 'envoy://l/a:80', port: 0 },
      { listener: 'l', metadata: { f: { host: 'a' } } },
    ],
  );
});

test('what cannot be honoured is refused', () => {
  const address = (json: JsonObject | undefined) => readAddress(json && fromJson(AddressSchema, json), 'x');
  assert.throws(() => address(socket('a', { named_port: 'http' })), { code: 'xds-unsupported', message: /named_port/ });
  for (const none of [undefined, {}]) assert.throws(() => address(none), { code: 'xds-invalid', message: /an address is missing/ });
  assert.throws(() => read({ lb_endpoints: [{ endpoint_name: 'e' }] }), { code: 'xds-unsupported', message: /endpoint_name/ });
  const drops = (list: JsonObject[]) =>
    readEndpoints(fromJson(ClusterLoadAssignmentSchema, { cluster_name: 'c', policy: { drop_overloads: list } }), 'c');
  assert.throws(() => drops([{ category: 'x' }]), { code: 'xds-unsupported', message: /drop_overloads/ });
  assert.deepEqual([drops([]), readEndpoints(undefined, 'c')], [[], []]);
});
