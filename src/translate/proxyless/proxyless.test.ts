import assert from 'node:assert/strict';
import { test } from 'node:test';
import { translated } from '../../../test/support/translated.ts';
import { Cluster_DiscoveryType as Discovery } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { proxylessResources } from './index.ts';

const entry = (name: string, hosts: string, more: string) => `
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: default }
spec: { hosts: ["${hosts}"], ports: [{ number: 80, name: grpc, protocol: GRPC }], ${more} }`;

const SERVICE = `
---
apiVersion: v1
kind: Service
metadata: { name: cart, namespace: default }
spec: { clusterIP: 10.0.0.9, ports: [{ port: 80, name: grpc }], selector: { app: cart } }`;

const MESH = [
  entry('one', 'one.example.com', 'resolution: DNS'),
  entry('two', 'two.example.com', 'resolution: DNS, endpoints: [{ address: a.example.com }, { address: b.example.com }]'),
  entry('any', '*.example.org', 'resolution: NONE'),
  entry('fixed', 'fixed.example.com', 'resolution: STATIC, endpoints: [{ address: 192.0.2.1 }, { address: 192.0.2.2 }]'),
  SERVICE,
].join('');

const resources = proxylessResources(translated(MESH).resources, { namespace: 'default' });

test('every declared name has a listener, a Service of the own namespace by its short ones too, and a wildcard none', () => {
  const names = resources.listeners.map(({ name }) => name);
  assert.deepEqual(names, [
    'cart.default.svc.cluster.local:80',
    'cart.default.svc:80',
    'cart.default:80',
    'cart:80',
    'fixed.example.com:80',
    'one.example.com:80',
    'two.example.com:80',
  ]);
  const elsewhere = proxylessResources(translated(MESH).resources, { namespace: 'other' });
  assert.ok(!elsewhere.listeners.some(({ name }) => name === 'cart:80'));
});

test('each has routes of its own', () => {
  const routes = resources.routes.map(({ name, virtualHosts }) => [name, ...virtualHosts.map(({ domains }) => domains.join())]);
  assert.deepEqual(routes, [
    ['outbound|80||cart.default.svc.cluster.local', '*'],
    ['outbound|80||fixed.example.com', '*'],
    ['outbound|80||one.example.com', '*'],
    ['outbound|80||two.example.com', '*'],
  ]);
});

test('a cluster looks up one name, has endpoints with weights, or none', () => {
  const types = Object.fromEntries(resources.clusters.map(({ name, clusterDiscoveryType: { value } }) => [name, value]));
  assert.deepEqual(types, {
    BlackHoleCluster: Discovery.EDS,
    'outbound|80||*.example.org': Discovery.EDS,
    'outbound|80||cart.default.svc.cluster.local': Discovery.EDS,
    'outbound|80||fixed.example.com': Discovery.EDS,
    'outbound|80||one.example.com': Discovery.LOGICAL_DNS,
    'outbound|80||two.example.com': Discovery.EDS,
  });
  const weights = resources.endpoints.map(({ clusterName, endpoints }) => [
    clusterName,
    ...endpoints.map(({ loadBalancingWeight }) => loadBalancingWeight),
  ]);
  assert.deepEqual(weights, [
    ['BlackHoleCluster'],
    ['outbound|80||*.example.org'],
    ['outbound|80||cart.default.svc.cluster.local'],
    ['outbound|80||fixed.example.com', 2],
    ['outbound|80||two.example.com'],
  ]);
});

test('what did not change is the same message', () => {
  const { resources: sidecar } = translated(MESH);
  const before = proxylessResources(sidecar, { namespace: 'default' });
  const after = proxylessResources({ ...sidecar, secrets: [] }, { namespace: 'default' });
  for (const list of ['listeners', 'routes', 'clusters', 'endpoints'] as const)
    for (const [i, message] of before[list].entries()) assert.equal(after[list][i], message, list);
});
