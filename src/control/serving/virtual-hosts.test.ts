import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromBinary } from '@bufbuild/protobuf';
import { NodeSchema } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { type VirtualHost, VirtualHostSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { NameTableSchema } from '../../xds/gen/istio/nds_pb.js';
import { encodeSet, listIn } from '../../xds/update.ts';
import { takesVirtualHosts, withVirtualHosts } from './virtual-hosts.ts';

const hostOf = (host: string): VirtualHost => create(VirtualHostSchema, { name: host, domains: [host] });
const route = (name: string, ...hosts: string[]) =>
  create(RouteConfigurationSchema, { name, maxDirectResponseBodySizeBytes: 5, virtualHosts: hosts.map(hostOf) });
const setOf = (...routes: ReturnType<typeof route>[]) =>
  encodeSet({ listeners: [], clusters: [], endpoints: [], secrets: [], routes, nameTable: create(NameTableSchema) });

test('each virtual host is a resource under the name of its route configuration', () => {
  const set = withVirtualHosts(setOf(route('80', 'a.example', 'odd/host%'), route('with/slash', 'b.example')));
  const routes = listIn(set, 'route').all.map(({ bytes }) => fromBinary(RouteConfigurationSchema, bytes));
  const hosts = listIn(set, 'virtualHost').all.map(({ name, bytes }) => ({ name, host: fromBinary(VirtualHostSchema, bytes) }));
  assert.deepEqual(
    routes.map(({ name, vhds, virtualHosts, maxDirectResponseBodySizeBytes }) => [
      name,
      vhds?.configSource?.configSourceSpecifier.case,
      virtualHosts.length,
      maxDirectResponseBodySizeBytes,
    ]),
    [
      ['80', 'ads', 0, 5],
      ['with/slash', undefined, 1, 5],
    ],
  );
  assert.deepEqual(
    hosts.map(({ name, host }) => [name, host.name, host.domains]),
    [
      ['80/a.example', '80/a.example', ['a.example']],
      ['80/odd%2Fhost%25', '80/odd%2Fhost%25', ['odd/host%']],
    ],
  );
});

test('a changed host changes no other, and not its route configuration', () => {
  const [before, after] = [setOf(route('80', 'a', 'b')), setOf(route('80', 'a', 'c'))].map(withVirtualHosts);
  assert.equal(listIn(before!, 'route').get('80')?.version, listIn(after!, 'route').get('80')?.version);
  assert.equal(listIn(before!, 'virtualHost').get('80/a')?.version, listIn(after!, 'virtualHost').get('80/a')?.version);
});

test('who takes virtual hosts says so by its version', () => {
  const node = (userAgentName: string, minorNumber: number) =>
    create(NodeSchema, {
      userAgentName,
      userAgentVersionType: { case: 'userAgentBuildVersion', value: { version: { majorNumber: 1, minorNumber } } },
    });
  assert.deepEqual([node('envoy', 40), node('envoy', 39), node('gRPC Go', 71), create(NodeSchema)].map(takesVirtualHosts), [
    true,
    false,
    false,
    false,
  ]);
});
