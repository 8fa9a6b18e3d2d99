/** Istio's metrics of the same calls, of a stock Envoy through what serves them, and of the embedded data plane. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type JsonObject, toJson } from '@bufbuild/protobuf';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { snapshotFromText } from '../../src/config/memory.ts';
import { istioMetrics } from '../../src/engine/envoy/istio-metrics.ts';
import { printPrometheus } from '../../src/proxy/stats/index.ts';
import { buildRegistry } from '../../src/registry/index.ts';
import { accessLogs } from '../../src/translate/access-log.ts';
import { loggedConfig } from '../../src/translate/logging.ts';
import { scopeFor } from '../../src/translate/scope.ts';
import { AccessLogSchema } from '../../src/xds/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import { typeRegistry } from '../../src/xds/type-registry.ts';
import { meshConfigOf } from '../support/mesh.ts';
import { SIDECAR } from '../support/translated.ts';
import { dataPlane } from './dataplane/support.ts';
import { startEnvoy } from './envoy-process.ts';

const TYPE = 'type.googleapis.com/envoy.extensions';
const NODE = { WORKLOAD_NAME: 'sleep', NAMESPACE: 'default', CLUSTER_ID: 'Kubernetes', LABELS: { app: 'sleep' } };
const CHANGED = `
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: mesh, namespace: istio-system }
spec: { metrics: [{ overrides: [
  { match: { metric: RESPONSE_SIZE }, disabled: true },
  { match: { metric: REQUEST_COUNT }, tagOverrides: { response_code: { operation: REMOVE }, method: { value: request.method }, team: { value: "'a%'" } } },
  { match: { metric: TCP_SENT_BYTES }, tagOverrides: { source_app: { operation: REMOVE } } }] }] }`;

function loggers(resources: string, kind: 'http' | 'tcp', by: 'envoy' | 'embedded'): JsonObject[] {
  const config = meshConfigOf({});
  const snapshot = snapshotFromText(resources);
  const mesh = { snapshot, config, registry: buildRegistry(snapshot, config).registry };
  const proxy = { ...SIDECAR, countsBy: by };
  const made = loggedConfig(
    proxy,
    mesh,
    () => scopeFor(proxy, mesh),
    ({ message }) => assert.fail(message),
  );
  return accessLogs(made, 'CLIENT', kind).map((log) => toJson(AccessLogSchema, log, { registry: typeRegistry }) as JsonObject);
}

function listenerOf(kind: 'http' | 'tcp', accessLog: JsonObject[], cluster: string, by: 'envoy' | 'embedded'): JsonObject {
  const routes = [
    { match: { prefix: '/none' }, route: { cluster: 'nowhere' } },
    { match: { prefix: '/refused' }, route: { cluster: 'refusing' } },
    { match: { prefix: '/' }, route: { cluster } },
  ];
  const http = {
    '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    statPrefix: 'x',
    accessLog,
    httpFilters: [{ name: 'envoy.filters.http.router', typedConfig: { '@type': `${TYPE}.filters.http.router.v3.Router` } }],
    routeConfig: { name: 'r', validateClusters: false, virtualHosts: [{ name: 'v', domains: ['www.example.com'], routes }] },
  };
  const tcp = {
    '@type': `${TYPE}.filters.network.tcp_proxy.v3.TcpProxy`,
    statPrefix: 'x',
    accessLog,
    cluster,
    ...(by === 'envoy' ? { accessLogOptions: { flushAccessLogOnConnected: true } } : {}),
  };
  return {
    name: 'l',
    trafficDirection: 'OUTBOUND',
    address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
    filterChains: [
      {
        name: 'chain',
        filters: [
          {
            name: kind === 'http' ? 'envoy.filters.network.http_connection_manager' : 'envoy.filters.network.tcp_proxy',
            typedConfig: kind === 'http' ? http : tcp,
          },
        ],
      },
    ],
  };
}

function clustersOf(port: number): JsonObject[] {
  const cluster = (name: string, at: number): JsonObject => ({
    name,
    type: 'STATIC',
    connectTimeout: '1s',
    metadata: {
      filterMetadata: {
        istio: { services: [{ host: `${name}.example.com`, name, namespace: 'shop' }] },
        sallyport: { service: `${name}.example.com;${name};shop` },
      },
    },
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: [
            {
              endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue: at } } },
              metadata: { filterMetadata: { istio: { workload: 'web;shop;web;v2;Kubernetes' } } },
            },
          ],
        },
      ],
    },
  });
  // Port 1 of the loopback has no listener.
  return [cluster('up', port), cluster('refusing', 1)];
}

/** Series of Istio's metrics, without those that time decides, and sums, which Envoy estimates from its buckets. */
const seriesIn = (page: string) =>
  page
    .split('\n')
    .filter((line) => line.startsWith('istio_') && !/^istio_request_duration_milliseconds_bucket|^istio_\w+_sum\{/.test(line))
    .map((line) =>
      line.replace(
        /\{(.*)\}/,
        (_, labels: string) =>
          `{${labels
            .match(/\w+="[^"]*"/g)!
            .filter((each) => !each.endsWith('=""'))
            .sort()}}`,
      ),
    )
    .sort();

/** Several times what Envoy lets pass between two merges of its histograms. */
const MOST_WAIT_MS = 20_000;

const envoy = findEnvoy();
const skip = envoy === undefined && 'no Envoy here: set ENVOY';

async function bothCount(
  t: TestContext,
  kind: 'http' | 'tcp',
  resources: string,
  upstream: Server,
  cluster: string,
  calls: (port: number) => Promise<unknown>,
) {
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  t.after(() => upstream.close());
  const clusters = clustersOf((upstream.address() as AddressInfo).port);
  const theirs = await startEnvoy(envoy!, listenerOf(kind, loggers(resources, kind, 'envoy'), cluster, 'envoy'), clusters);
  t.after(() => theirs.stop());
  const ours = await dataPlane(t, { node: { id: 'sidecar', cluster: 'sleep.default', metadata: NODE, locality: {} } });
  const listener = listenerOf(kind, loggers(resources, kind, 'embedded'), cluster, 'embedded');
  assert.deepEqual((await ours.set({ listeners: [listener], clusters })).rejected, []);
  await calls(theirs.port);
  await calls(ours.port('l'));
  const page = async () => {
    const answer = await fetch(`http://${theirs.admin}/stats/prometheus`);
    return text(Readable.from([Buffer.from(await answer.arrayBuffer())]).pipe(istioMetrics(NODE)));
  };
  let expected: string[] = [];
  let found: string[] = [];
  // Envoy merges what its threads have counted every few seconds, and tells nobody.
  const end = performance.now() + MOST_WAIT_MS;
  for (;;) {
    expected = seriesIn(await page());
    found = seriesIn([...printPrometheus(ours.plane.stats())].join(''));
    if (isDeepStrictEqual(expected, found) || performance.now() > end) break;
    await delay(50);
  }
  assert.deepEqual(found, expected);
  assert.ok(found.length > 0);
  return found;
}

const httpCalls = async (port: number) => {
  for (const [path, method] of [
    ['/a', 'GET'],
    ['/a', 'POST'],
    ['/none', 'GET'],
    ['/refused', 'GET'],
  ] as const) {
    const socket = connect(port, '127.0.0.1');
    socket.write(`${method} ${path} HTTP/1.1\r\nhost: www.example.com\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc`);
    socket.resume();
    await once(socket, 'close');
  }
};
const tcpCalls = async (port: number) => {
  const socket = connect(port, '127.0.0.1');
  // Whether it is reset or ended is the proxy's matter.
  socket.on('error', () => undefined);
  socket.end('hello').resume();
  await new Promise((resolve) => socket.on('close', resolve));
};
const web = () => createHttpServer((request, answer) => request.resume().on('end', () => answer.end('got it')));
const echo = () => createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));

for (const [name, resources] of [
  ['as they are', ''],
  ['as Telemetry changes them', CHANGED],
] as const) {
  test(`requests count alike, ${name}`, { skip, timeout: 60_000 }, async (t) => {
    const found = await bothCount(t, 'http', resources, web(), 'up', httpCalls);
    const has = (pattern: RegExp) => found.some((line) => pattern.test(line));
    assert.equal(has(/^istio_response_bytes/), resources === '');
    assert.equal(has(/^istio_requests_total\{.*response_code=/), resources === '');
    assert.equal(has(/^istio_requests_total\{.*method="POST".*team="a%"/), resources !== '');
  });

  test(`connections count alike, ${name}`, { skip, timeout: 60_000 }, async (t) => {
    const found = await bothCount(t, 'tcp', resources, echo(), 'up', tcpCalls);
    assert.ok(
      found.some((line) => /^istio_tcp_sent_bytes_total\{.*\} 5$/.test(line)),
      found.join('\n'),
    );
  });
}

test('a connection that never reached its server counts as opened, too', { skip, timeout: 60_000 }, async (t) => {
  const found = await bothCount(t, 'tcp', '', echo(), 'refusing', tcpCalls);
  assert.ok(
    found.some((line) => /^istio_tcp_connections_opened_total\{.*\} 1$/.test(line)),
    found.join('\n'),
  );
});
