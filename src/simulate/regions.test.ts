import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { type Cluster, ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { ListenerSchema } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../xds/gen/envoy/config/route/v3/route_pb.js';
import { lookupIn } from '../xds/resources.ts';
import { typeRegistry } from '../xds/type-registry.ts';
import { simulatedMesh } from './explain.ts';
import { simulatedProxy } from './proxy.ts';
import { type Asked, type Region, Regions, touches } from './regions.ts';
import { answer, chain, cluster, host, http, listener, route } from './testing.ts';

const region = (hosts: readonly string[], serverNames: readonly string[] = []): Region => ({ hosts, serverNames });
const requests = (...names: readonly string[]): Asked => ({ kind: 'http', names });
const tls = (...names: readonly string[]): Asked => ({ kind: 'tls', names });

test('a region that is all, or nothing, and calls that say no name', () => {
  for (const asked of [requests('a.example'), tls('a.example'), { kind: 'bytes' }, { kind: 'any request' }] as const) {
    assert.equal(touches('all', asked), true);
    assert.equal(touches(region([]), asked), false);
  }
  for (const kind of ['bytes', 'any request'] as const) assert.equal(touches(region(['a.example']), { kind }), true);
});

test('requests are touched by hosts, TLS by server names: one of the names is enough', () => {
  const names = ['a.example', 'b.example'];
  assert.equal(touches(region(names), requests('b.example', 'c.example')), true);
  assert.equal(touches(region(names), requests('c.example', 'd.example')), false);
  assert.equal(touches(region([], names), tls('c.example', 'a.example')), true);
  assert.equal(touches(region([], names), tls('c.example')), false);
  assert.equal(touches(region(names), requests()), false);
});

test('what the other kind of name may hold is not told apart', () => {
  assert.equal(touches(region(['a.example']), tls('c.example')), true, 'requests may be inside of the TLS');
  assert.equal(touches(region([], ['a.example']), requests('c.example')), true, 'proxies may originate TLS');
});

test('names meet whatever their case and port, and by wildcards', () => {
  const meets = (one: string, name: string) => touches(region([one]), requests(name));
  assert.equal(meets('A.example:80', 'a.example'), true);
  assert.equal(meets('a.example:*', 'a.example:8080'), true);
  assert.equal(meets('*.example', 'a.example'), true);
  assert.equal(meets('a.example', '*.example'), true);
  assert.equal(meets('*.example', 'a.test'), false);
  for (const open of ['*', '10.0.0.*']) {
    assert.equal(meets(open, 'a.example'), true, open);
    assert.equal(meets('a.example', open), true, open);
  }
});

const options = { registry: typeRegistry };
const clusterOf = (json: JsonObject) => fromJson(ClusterSchema, json, options);
const hostsOf = (...virtualHosts: readonly JsonObject[]) =>
  fromJson(RouteConfigurationSchema, { name: 'routes', virtualHosts: [...virtualHosts] }, options).virtualHosts;
const manager = http() as { name: string; typed_config: JsonObject };
const { route_config: _, ...settings } = manager.typed_config;
const asked = { ...manager, typed_config: { ...settings, rds: { route_config_name: 'routes', config_source: { ads: {} } } } };
/** Of both sides, the very same objects: who leads to the gateway at 10.0.0.9, and the gateway's port. */
const TO_GATEWAY = clusterOf(cluster('gateway', '10.0.0.9:80'));
const LISTENER = fromJson(ListenerSchema, listener(80, [chain(asked)]), options);
const FRAME = fromJson(RouteConfigurationSchema, { name: 'routes' });
const [ONE, TWO, OTHER_TWO] = hostsOf(host('one.example', route('a')), host('two.example', route('b')), host('two.example', answer(403)));
const [A, B, OTHER_B] = ['a', 'b', 'b'].map((name, i) => clusterOf(cluster(name, `192.0.2.${i}:80`))) as [Cluster, Cluster, Cluster];

function side(virtualHosts: ReturnType<typeof hostsOf>, clusters: readonly Cluster[]) {
  const none = { listeners: [], routes: [], endpoints: [], secrets: [] };
  const app = simulatedProxy(
    { name: 'default/app', type: 'sidecar', addresses: ['10.0.0.1'] },
    lookupIn({ ...none, clusters: [TO_GATEWAY] }),
  );
  const resources = { ...none, listeners: [LISTENER], routes: [{ ...FRAME, virtualHosts }], clusters: [...clusters] };
  const gateway = simulatedProxy({ name: 'default/gateway', type: 'router', addresses: ['10.0.0.9'] }, lookupIn(resources));
  return { app, mesh: simulatedMesh([app, gateway]) };
}

type Sides = Parameters<typeof side>;

/** Which calls through the gateway may end otherwise. */
function differing(one: Sides, other: Sides): Region {
  const [before, after] = [side(...one), side(...other)];
  return new Regions(before.mesh, after.mesh).behind(before.app, after.app, 'gateway');
}

test('behind a gateway those calls may end otherwise whose virtual host, or what it leads to, is another', () => {
  const of = (...hosts: readonly string[]) => ({ hosts, serverNames: [] });
  const same: Sides = [
    [ONE!, TWO!],
    [A, B],
  ];
  assert.deepEqual(
    differing(same, [
      [ONE!, TWO!],
      [A, B],
    ]),
    of(),
  );
  assert.deepEqual(
    differing(same, [
      [ONE!, OTHER_TWO!],
      [A, B],
    ]),
    of('two.example', 'two.example'),
  );
  assert.deepEqual(differing(same, [[ONE!], [A, B]]), of('two.example'));
  assert.deepEqual(differing([[ONE!], [A, B]], same), of('two.example'));
  assert.deepEqual(
    differing(same, [
      [ONE!, TWO!],
      [A, OTHER_B],
    ]),
    of('two.example'),
  );
});
