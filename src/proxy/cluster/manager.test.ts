import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { fromJson, type JsonObject, toBinary } from '@bufbuild/protobuf';
import { ClusterSchema } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { ClusterLoadAssignmentSchema } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { MaterialStore } from '../tls/material.ts';
import { UpstreamCluster } from './cluster.ts';
import { Clusters } from './manager.ts';

const CONTEXT = { downstream: undefined, target: undefined, hash: undefined };

const encode = (json: JsonObject): Uint8Array => toBinary(ClusterSchema, fromJson(ClusterSchema, json));

const endpoints = (...ips: string[]): JsonObject => ({
  endpoints: [{ lbEndpoints: ips.map((address) => ({ endpoint: { address: { socketAddress: { address, portValue: 80 } } } })) }],
});

const assignment = (clusterName: string, ...ips: string[]): Uint8Array =>
  toBinary(ClusterLoadAssignmentSchema, fromJson(ClusterLoadAssignmentSchema, { clusterName, ...endpoints(...ips) }));

const fixed = (name: string, ...ips: string[]): JsonObject => ({
  name,
  type: 'STATIC',
  loadAssignment: { clusterName: name, ...endpoints(...ips) },
});

const eds = (name: string, serviceName = ''): JsonObject => ({ name, type: 'EDS', edsClusterConfig: { serviceName } });

function clusters(t: TestContext): Clusters {
  const resolver = { resolve: () => assert.fail('nobody uses a name'), close: () => undefined };
  const made = new Clusters({ resolver, now: () => 0, store: new MaterialStore(), random: () => 0, internal: () => undefined });
  t.after(() => made.close());
  return made;
}

const addresses = (all: Clusters, name: string) => all.hosts(name).map(({ text }) => text);
const summary = (all: Clusters, name: string) => [...all.all()].find((each) => each.name === name)!;

test('a cluster is made once, when it is first asked for, and made anew only when its version changes', (t) => {
  const all = clusters(t);
  all.set('a', encode(fixed('a', '10.0.0.1')), '1');
  const a = all.get('a');
  assert.ok(a instanceof UpstreamCluster);
  assert.equal(all.get('a'), a);
  all.set('a', encode(fixed('a', '10.0.0.1')), '1');
  assert.equal(all.get('a'), a);
  a.stats.upstreamCxTotal = 3;
  const [host] = a.hosts;
  all.set('a', encode(fixed('a', '10.0.0.2')), '2');
  assert.equal(host!.live, false);
  // Counters go on, before and after somebody uses the new version.
  assert.equal(summary(all, 'a').stats.upstreamCxTotal, 3);
  assert.notEqual(all.get('a'), a);
  assert.equal(all.get('a')!.stats.upstreamCxTotal, 3);
  assert.equal(all.get('b'), undefined);
});

test('what is shown of a cluster that nobody has used is what is shown of it in use', (t) => {
  const all = clusters(t);
  const limits = { circuitBreakers: { thresholds: [{ maxConnections: 7, maxRetries: 1 }] } };
  all.set('a', encode({ ...fixed('a', '10.0.0.1', '10.0.0.2'), ...limits }), '1');
  all.set('names', encode({ ...fixed('names', 'a.example'), type: 'STRICT_DNS' }), '1');
  const before = structuredClone(summary(all, 'a'));
  const hostsBefore = addresses(all, 'a');
  assert.equal(before.limits.connections.max, 7);
  assert.deepEqual(before.members, { total: 2, healthy: 2 });
  assert.deepEqual(hostsBefore, ['10.0.0.1:80', '10.0.0.2:80']);
  all.get('a');
  assert.deepEqual(structuredClone(summary(all, 'a')), before);
  assert.deepEqual(addresses(all, 'a'), hostsBefore);
  assert.deepEqual(addresses(all, 'names'), []);
  assert.deepEqual(summary(all, 'names').members, { total: 0, healthy: 0 });
});

test('the numbers of one cluster in use are not those of others with the same limits', (t) => {
  const all = clusters(t);
  for (const name of ['a', 'b', 'c']) all.set(name, encode(fixed(name, '10.0.0.1')), '1');
  all.get('a')!.limits.connections.used = 5;
  all.get('a')!.stats.upstreamRqTotal = 5;
  for (const name of ['b', 'c']) {
    assert.equal(summary(all, name).limits.connections.used, 0);
    assert.equal(summary(all, name).stats.upstreamRqTotal, 0);
    assert.equal(all.get(name)!.limits.connections.used, 0);
  }
});

test('endpoints reach the clusters that use their name, used before or not, and no others', (t) => {
  const all = clusters(t);
  all.setEndpoints('shared', assignment('shared', '10.0.0.1'), '1');
  for (const name of ['used', 'unused']) all.set(name, encode(eds(name, 'shared')), '1');
  all.set('other', encode(eds('other')), '1');
  const used = all.get('used')!;
  const shown = () => ['used', 'unused', 'other'].map((name) => [...addresses(all, name), summary(all, name).members.total]);
  assert.deepEqual(shown(), [['10.0.0.1:80', 1], ['10.0.0.1:80', 1], [0]]);
  all.setEndpoints('shared', assignment('shared', '10.0.0.2'), '2');
  assert.deepEqual(shown(), [['10.0.0.2:80', 1], ['10.0.0.2:80', 1], [0]]);
  assert.equal(all.get('used'), used);
  all.setEndpoints('other', assignment('other', '10.0.0.9'), '1');
  const choice = all.get('other')!.choose(CONTEXT, () => assert.fail());
  assert.equal(choice && 'text' in choice && choice.text, '10.0.0.9:80');
  // One that has become something else hears no more of them.
  all.set('unused', encode(fixed('unused', '10.0.0.5')), '2');
  all.deleteEndpoints('shared');
  assert.deepEqual(shown(), [[0], ['10.0.0.5:80', 1], ['10.0.0.9:80', 1]]);
});

test('what cannot be honoured is refused when it comes, not when it is used; the last good version stays', (t) => {
  const all = clusters(t);
  all.set('a', encode(eds('a')), '1');
  all.setEndpoints('a', assignment('a', '10.0.0.1'), '1');
  const refused: readonly [JsonObject, RegExp][] = [
    [fixed('a', 'name.example'), /cluster "a": "name.example" is no IP address/],
    [{ ...fixed('a', '10.0.0.1'), lbSubsetConfig: { subsetSelectors: [{ keys: ['x'] }] } }, /cluster "a".lb_subset_config: not supported/],
    [{ ...fixed('a', '10.0.0.1'), transportSocket: { name: 'x' } }, /"x" has no typed_config/],
  ];
  for (const [json, message] of refused) assert.throws(() => all.set('a', encode(json), '2'), message);
  assert.throws(() => all.setEndpoints('a', assignment('a', 'name.example'), '2'), { code: 'xds-invalid' });
  assert.deepEqual(addresses(all, 'a'), ['10.0.0.1:80']);
  assert.equal(all.get('a')!.config.name, 'a');
  assert.throws(() => all.setEndpoints('a', assignment('a', 'name.example'), '2'), { code: 'xds-invalid' });
  assert.deepEqual(addresses(all, 'a'), ['10.0.0.1:80']);
});
