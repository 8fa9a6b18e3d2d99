import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromBinary, type JsonObject } from '@bufbuild/protobuf';
import { NodeSchema } from '../gen/envoy/config/core/v3/base_pb.js';
import { ListenerSchema } from '../gen/envoy/config/listener/v3/listener_pb.js';
import { type VirtualHost, VirtualHostSchema } from '../gen/envoy/config/route/v3/route_components_pb.js';
import { type RouteConfiguration, RouteConfigurationSchema } from '../gen/envoy/config/route/v3/route_pb.js';
import { NameTableSchema } from '../gen/istio/nds_pb.js';
import { TAKES_VIRTUAL_HOSTS } from '../node.ts';
import { TYPE_URL } from '../resources.ts';
import { encodeSet, listIn } from '../update.ts';
import { TestClient } from './testing.ts';
import { takesVirtualHosts, withVirtualHosts } from './virtual-hosts.ts';

const hostOf = (host: string): VirtualHost => create(VirtualHostSchema, { name: host, domains: [host] });
const route = (name: string, ...hosts: string[]) =>
  create(RouteConfigurationSchema, { name, maxDirectResponseBodySizeBytes: 5, virtualHosts: hosts.map(hostOf) });
const setOf = (...routes: RouteConfiguration[]) => setWith([], ...routes);
const setWith = (listeners: readonly string[], ...routes: RouteConfiguration[]) =>
  encodeSet({
    listeners: listeners.map((name) => create(ListenerSchema, { name })),
    clusters: [],
    endpoints: [],
    secrets: [],
    routes,
    nameTable: create(NameTableSchema),
  });

test('each virtual host is a resource under the name of its route configuration', () => {
  const set = withVirtualHosts(setOf(route('80', 'a.example', 'odd/host%'), route('empty'), route('with/slash', 'b.example')));
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
      ['empty', undefined, 0, 5],
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

test('who takes virtual hosts says so, and is an Envoy that was seen to', () => {
  const node = (userAgentName: string, minorNumber: number, metadata: JsonObject = { [TAKES_VIRTUAL_HOSTS]: 'true' }) =>
    create(NodeSchema, {
      metadata,
      userAgentName,
      userAgentVersionType: { case: 'userAgentBuildVersion', value: { version: { majorNumber: 1, minorNumber } } },
    });
  assert.deepEqual(
    [node('envoy', 40), node('envoy', 39), node('gRPC Go', 71), node('envoy', 40, {}), create(NodeSchema)].map(takesVirtualHosts),
    [true, false, false, false, false],
  );
});

const TAKES = {
  metadata: { [TAKES_VIRTUAL_HOSTS]: 'true' },
  userAgentName: 'envoy',
  userAgentVersionType: { case: 'userAgentBuildVersion' as const, value: { version: { majorNumber: 1, minorNumber: 40 } } },
};

function clientOf(...routes: readonly RouteConfiguration[]): TestClient {
  const client = new TestClient('delta', setOf(...routes));
  client.change('listener', { node: TAKES });
  client.answer('listener', client.response);
  return client;
}

test('a client gets the hosts of a route configuration after it, and then those that changed', () => {
  const client = clientOf(route('80', 'a', 'b'));
  client.change('route', { resourceNamesSubscribe: ['80'] });
  const frame = client.response;
  client.answer('route', frame);
  client.change('virtualHost');
  const hosts = client.response;
  assert.deepEqual([frame.names, hosts.names], [['80'], ['80/a', '80/b']]);
  client.answer('virtualHost', hosts);
  client.stream.serve(setOf(route('80', 'a', 'c')));
  const change = client.response;
  assert.deepEqual([change.typeUrl, change.names, change.removed], [TYPE_URL.virtualHost, ['80/c'], ['80/b']]);
});

test('who comes back with a route configuration that has its hosts keeps it so: without them it would refuse every call for a moment', () => {
  const client = clientOf(route('80', 'a'));
  client.change('route', { resourceNamesSubscribe: ['80'], initialResourceVersions: { 80: 'of another control plane' } });
  const whole = client.response;
  assert.equal(whole.versions[80], listIn(setOf(route('80', 'a')), 'route').get('80')!.version);
  client.answer('route', whole);
  client.change('virtualHost');
  assert.deepEqual(client.response.names, []);
  client.stream.serve(setOf(route('80', 'b')));
  assert.deepEqual(
    client.responses.map(({ typeUrl }) => typeUrl),
    [TYPE_URL.route],
  );

  const parted = listIn(withVirtualHosts(setOf(route('80', 'a'))), 'route');
  const same = clientOf(route('80', 'a'));
  same.change('route', { resourceNamesSubscribe: ['80'], initialResourceVersions: { 80: parted.get('80')!.version } });
  assert.deepEqual(same.responses, [], 'it has what there is');
});

test('hosts of a port that is served no more go after its listener', () => {
  const client = new TestClient('delta', setWith(['0.0.0.0_80'], route('80', 'a')));
  for (const type of ['listener', 'route', 'virtualHost'] as const) {
    client.change(type, { node: TAKES, resourceNamesSubscribe: type === 'route' ? ['80'] : [] });
    client.answer(type, client.response);
  }
  client.stream.serve(setOf());
  const first = client.response;
  assert.deepEqual([first.typeUrl, first.removed], [TYPE_URL.listener, ['0.0.0.0_80']]);
  client.answer('listener', first);
  assert.deepEqual(
    client.responses.map(({ removed }) => removed),
    [['80'], ['80/a']],
  );
});
