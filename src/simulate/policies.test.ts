import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import type { Answer, HttpFilter, JudgedRequest, Judgement } from '../http/filters/filter.ts';
import { compileRouteConfiguration, type ForwardAction } from '../http/routes/route.ts';
import { ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { RouteConfigurationSchema } from '../xds/gen/envoy/config/route/v3/route_pb.js';
import { lookupIn } from '../xds/resources.ts';
import { typeRegistry } from '../xds/type-registry.ts';
import type { Manager } from './manager.ts';
import { clusterPolicies, faultsOf, routePolicies } from './policies.ts';
import { simulatedProxy } from './proxy.ts';

/** What is said of a route with this action. */
function ofRoute(action: JsonObject, faults: readonly string[] = []): string | undefined {
  const config = {
    name: 'r',
    virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'c', ...action } }] }],
  };
  const route = compileRouteConfiguration(fromJson(RouteConfigurationSchema, config)).virtualHost('a')!.routes[0]!;
  return routePolicies(route, route.action as ForwardAction, faults);
}

function ofCluster(json: JsonObject): string | undefined {
  const resources = { listeners: [], clusters: [], routes: [], endpoints: [], secrets: [] };
  const proxy = simulatedProxy({ name: 'default/app', type: 'sidecar', addresses: [] }, lookupIn(resources));
  return clusterPolicies(proxy, fromJson(ClusterSchema, { name: 'c', connectTimeout: '0s', ...json }, { registry: typeRegistry }));
}

test('of a route: faults, timeouts, retries and the longest time, in this order; nothing where it asks for nothing', () => {
  assert.equal(ofRoute({ timeout: '0s' }), undefined);
  assert.equal(ofRoute({ timeout: '3s', idleTimeout: '1s' }, ['a fault']), 'a fault; timeout 3s; idle timeout 1s');
  assert.equal(ofRoute({ timeout: '3s', maxStreamDuration: { maxStreamDuration: '9s' } }), 'at most 9s in all', 'in place of the timeout');
  assert.equal(ofRoute({ timeout: '0s', maxStreamDuration: { maxStreamDuration: '0s' } }), undefined);
});

test('of retries: how often, on what, and for how long each', () => {
  const retrying = (retryPolicy: JsonObject) => ofRoute({ timeout: '0s', retryPolicy });
  assert.equal(retrying({ retryOn: '5xx,reset', numRetries: 1 }), 'up to 1 retry on 5xx, reset');
  assert.equal(retrying({ retryOn: '5xx', numRetries: 2, perTryTimeout: '0.5s' }), 'up to 2 retries on 5xx, each try at most 500ms');
  const statuses = { retryOn: 'retriable-status-codes', numRetries: 2, retriableStatusCodes: [503, 418] };
  assert.equal(retrying(statuses), 'up to 2 retries on status 418 or 503');
  assert.equal(retrying({ ...statuses, retryOn: '5xx,retriable-status-codes', retriableStatusCodes: [] }), 'up to 2 retries on 5xx');
  assert.equal(retrying({ retryOn: '5xx', numRetries: 0 }), undefined);
  assert.equal(retrying({ numRetries: 2 }), undefined);
});

test('of faults: how many requests are delayed and answered; none that never are', () => {
  const filter = (judgement: Partial<Judgement>, router?: object) => ({ judge: () => judgement, router }) as unknown as HttpFilter;
  const chance = (share: number) => ({ share, happens: () => true });
  const answer = (share: number, reply: object) => ({ chance: chance(share), reply }) as unknown as Answer;
  const told = (...filters: HttpFilter[]) => faultsOf({ filters } as unknown as Manager, {} as JudgedRequest);
  assert.deepEqual(told(filter({ delay: { ms: 2000, chance: chance(0.25) }, answer: answer(1, { status: 503 }) })), [
    'a fault delays 25% of requests by 2s',
    'a fault answers every request with 503',
  ]);
  assert.deepEqual(told(filter({ answer: answer(0.5, { status: 200, grpcStatus: 14 }) })), [
    'a fault answers 50% of requests with gRPC status 14',
  ]);
  assert.deepEqual(told(filter({ answer: answer(0.5, { status: 200, grpcStatus: 0 }) })), [
    'a fault answers 50% of requests with gRPC status 0',
  ]);
  assert.deepEqual(told(filter({ delay: { ms: 1, chance: chance(0) }, answer: answer(0, { status: 503 }) }), filter({})), []);
  assert.deepEqual(told(filter({ answer: answer(1, { status: 503 }) }, {})), [], 'the router injects none');
});

test('of a cluster: its time to connect, limits, connections and outliers', () => {
  assert.equal(ofCluster({}), undefined);
  assert.equal(ofCluster({ connectTimeout: '1s' }), 'connect timeout 1s');
  const limits = { maxConnections: 1, maxPendingRequests: 2, maxRequests: 3, maxRetries: 4 };
  assert.equal(
    ofCluster({ circuitBreakers: { thresholds: [{ priority: 'HIGH', maxRetries: 9 }, limits] } }),
    'at most 1 connections; at most 2 requests that wait; at most 3 requests at a time; at most 4 retries at a time',
  );
  assert.equal(
    ofCluster({ circuitBreakers: { thresholds: [{ maxConnections: 0xffff_ffff, maxRetries: 0 }] } }),
    'at most 0 retries at a time',
  );
  const type = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const common = { commonHttpProtocolOptions: { maxRequestsPerConnection: 5, idleTimeout: '60s' } };
  assert.equal(
    ofCluster({ typedExtensionProtocolOptions: { [type]: { '@type': `type.googleapis.com/${type}`, ...common } } }),
    '5 requests a connection; connections idle for 60s are closed',
  );
  const left = (failures: number, time: string) => `an endpoint that fails ${failures} times in a row is left out for ${time}`;
  assert.equal(ofCluster({ outlierDetection: {} }), left(5, '30s'));
  assert.equal(
    ofCluster({ outlierDetection: { consecutive5xx: 2, consecutiveGatewayFailure: 3, baseEjectionTime: '60s' } }),
    left(2, '60s'),
  );
  assert.equal(ofCluster({ outlierDetection: { consecutiveGatewayFailure: 3 } }), left(3, '30s'));
  const reach = { ports: [443], ranges: ['10.0.0.0/8', '192.168.0.0/16'] };
  assert.equal(
    ofCluster({ metadata: { filterMetadata: { sallyport: { reach } } } }),
    'the embedded data plane refuses addresses that are not public, but for 10.0.0.0/8, 192.168.0.0/16',
  );
  assert.match(ofCluster({ metadata: { filterMetadata: { sallyport: { reach: { ...reach, ranges: [] } } } } }) ?? '', /not public$/);
});
