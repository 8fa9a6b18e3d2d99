import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import type { Endpoint } from '../registry/model.ts';
import { ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { type LocalitySetting, localityGroups, weighLocalities } from './endpoints-locality.ts';

const endpoint = (locality: string, labels: Readonly<Record<string, string>> = {}, weight = 0): Endpoint => ({
  address: '10.0.0.1',
  port: 80,
  servicePortName: 'http',
  labels,
  weight,
  locality,
  network: '',
  serviceAccount: '',
  namespace: 'default',
  workload: '',
  healthy: true,
  tlsMode: 'disabled',
});
const setting = (more: Partial<LocalitySetting>): LocalitySetting => ({ distribute: [], failover: [], failoverPriority: [], ...more });
const EVERYWHERE = ['a/1/x', 'a/1/y', 'a/2/x', 'b/1/x', 'c/1/x'].map((locality) => endpoint(locality));

/** `locality priority weight` of each group, for a proxy in a/1/x. */
function groups(endpoints: readonly Endpoint[], own: LocalitySetting | undefined, failsOver = true, labels = {}, locality = 'a/1/x') {
  return localityGroups(endpoints, { locality, labels }, own, failsOver).map(
    ({ locality: at, priority, loadBalancingWeight }) => `${at?.region}/${at?.zone}/${at?.subZone} ${priority} ${loadBalancingWeight}`,
  );
}

/** Whether the cluster heeds the weights of localities. */
function weighs(own: LocalitySetting | undefined, outliers = true, endpoints: readonly Endpoint[] = EVERYWHERE): boolean {
  const cluster = create(ClusterSchema, outliers ? { outlierDetection: {} } : {});
  weighLocalities(cluster, endpoints, own);
  return cluster.commonLbConfig?.localityConfigSpecifier.case === 'localityWeightedLbConfig';
}

test('the nearest locality comes first: subzone, zone, region, the region to fail over to, the rest', () => {
  const failover = setting({ failover: [{ from: 'a', to: 'c' }] });
  assert.deepEqual(groups(EVERYWHERE, failover), ['a/1/x 0 1', 'a/1/y 1 1', 'a/2/x 2 1', 'c/1/x 3 1', 'b/1/x 4 1']);
  // Of a rule from elsewhere nothing follows, and priorities have no gap.
  assert.deepEqual(groups(EVERYWHERE, setting({ failover: [{ from: 'b', to: 'c' }] })).slice(3), ['b/1/x 3 1', 'c/1/x 3 1']);
  assert.deepEqual(groups(EVERYWHERE.slice(1), failover).slice(0, 2), ['a/1/y 0 1', 'a/2/x 1 1']);
});

test('without outlier detection, a locality, or where it is off, all are equal', () => {
  const equal = EVERYWHERE.map(({ locality }) => `${locality} 0 1`);
  assert.deepEqual(groups(EVERYWHERE, undefined, false), equal);
  assert.deepEqual(groups(EVERYWHERE, setting({ enabled: false })), equal);
  assert.deepEqual(groups(EVERYWHERE, undefined, true, {}, ''), equal);
  assert.deepEqual(groups([], setting({})), []);
});

test('endpoints that share more of the labels come earlier', () => {
  const own = setting({ failoverPriority: ['version', 'tier=1'] });
  const list = [
    endpoint('', { version: '2', tier: '1' }),
    endpoint('a/1/x', { version: '1', tier: '2' }),
    endpoint('b/1/x', { version: '1', tier: '1' }),
  ];
  assert.deepEqual(groups(list, own, true, { version: '1' }), ['b/1/x 0 1', 'a/1/x 1 1', 'undefined/undefined/undefined 2 1']);
});

test('what is distributed is shared by the localities that a pattern covers, the narrower one first, and the others get none', () => {
  const list = [endpoint('a/1/x', {}, 3), endpoint('a/1/y', {}, 1), endpoint('a/2/x'), endpoint('b/1/x'), endpoint('c/1/x')];
  const to = { 'a/1/*': 60, 'a/*': 30, 'b/1/x': 10, 'c/*': 0 };
  const expected = ['a/1/x 0 45', 'a/1/y 0 15', 'a/2/x 0 30', 'b/1/x 0 10'];
  assert.deepEqual(groups(list, setting({ distribute: [{ from: 'a/*', to }] })), expected);
  assert.deepEqual(groups(list, setting({ distribute: [{ from: '*', to }] }), false), expected);
  assert.equal(groups(list, setting({ distribute: [{ from: 'b/*', to }] })).length, list.length);
});

test('weights of localities count where they are distributed, or where a rule of failover has outlier detection', () => {
  const failover = setting({ failover: [{ from: 'a', to: 'b' }] });
  assert.deepEqual([weighs(failover), weighs(failover, false)], [true, false]);
  const priority = setting({ failoverPriority: ['version'] });
  assert.deepEqual([weighs(priority), weighs(priority, false)], [true, false]);
  assert.ok(weighs(setting({ distribute: [{ from: '*', to: { '*': 100 } }] }), false));
  assert.ok(!weighs(setting({})) && !weighs(undefined));
  assert.ok(!weighs({ ...failover, enabled: false }) && !weighs(failover, true, []));
});
