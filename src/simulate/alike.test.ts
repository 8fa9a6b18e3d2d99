import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { ListenerSchema } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { type RouteConfiguration, RouteConfigurationSchema } from '../xds/gen/envoy/config/route/v3/route_pb.js';
import { lookupIn } from '../xds/resources.ts';
import { typeRegistry } from '../xds/type-registry.ts';
import { diffCalls } from './diff.ts';
import { simulatedMesh } from './explain.ts';
import { simulatedProxy } from './proxy.ts';
import { chain, dns, host, http, listener, outbound, route, tcp } from './testing.ts';

const options = { registry: typeRegistry };
const manager = http() as { name: string; typed_config: JsonObject };
const { route_config: _, ...settings } = manager.typed_config;
const asked = { ...manager, typed_config: { ...settings, rds: { route_config_name: 'routes', config_source: { ads: {} } } } };
/** Of both sides: the very same objects. */
const LISTENERS = [outbound(chain(tcp('none'))), listener(80, [chain(asked)])].map((json) => fromJson(ListenerSchema, json, options));
const CLUSTERS = ['a', 'b'].map((name) => fromJson(ClusterSchema, dns(name, `${name}.example:80`)));
const HOSTS = [host('one.example', route('a')), host('*', route('b'))];
const routes = (json: JsonObject = {}): RouteConfiguration => fromJson(RouteConfigurationSchema, { name: 'routes', ...json });
const SHARED = routes({ virtualHosts: HOSTS }).virtualHosts;

function side(config: RouteConfiguration) {
  const resources = { listeners: LISTENERS, clusters: CLUSTERS, routes: [config], endpoints: [], secrets: [] };
  const app = simulatedProxy({ name: 'default/app', type: 'sidecar', addresses: ['10.0.0.1'] }, lookupIn(resources));
  return { app, mesh: simulatedMesh([app]) };
}

/** The changes, and how many calls were made for them. */
function compared(from: RouteConfiguration, to: RouteConfiguration, quick: boolean) {
  const [before, after] = [side(from), side(to)];
  const workloads = [{ workloads: ['default/app'], before: before.app, after: after.app }];
  const { changes, cells } = diffCalls(before, after, workloads, { quick });
  return { changes: changes.map(({ kind, destination }) => `${kind} ${destination}`), cells };
}

const of = (virtualHosts: RouteConfiguration['virtualHosts'], json: JsonObject = {}): RouteConfiguration => ({
  ...routes(json),
  virtualHosts,
});

test('where virtual hosts are the same objects no calls are made for them', () => {
  const [whole, quick] = [false, true].map((each) => compared(of(SHARED), of([...SHARED]), each));
  assert.deepEqual([whole!.changes, quick!.changes], [[], []]);
  assert.ok(quick!.cells < whole!.cells, `${quick!.cells} of ${whole!.cells}`);
});

for (const [name, from, to] of [
  ['the frame round the same virtual hosts', of(SHARED), of(SHARED, { requestHeadersToAdd: [{ header: { key: 'x-own', value: '1' } }] })],
  ['a virtual host', of(SHARED), of([SHARED[0]!, routes({ virtualHosts: [host('*', route('a'))] }).virtualHosts[0]!])],
  ['a virtual host that takes a name from one that stays', of(SHARED.slice(1)), of(SHARED)],
  ['a virtual host that leaves', of(SHARED), of(SHARED.slice(1))],
] as const)
  test(`what is left out changes nothing: ${name}`, () => {
    const whole = compared(from, to, false).changes;
    assert.ok(whole.length > 0);
    assert.deepEqual(compared(from, to, true).changes, whole);
  });
