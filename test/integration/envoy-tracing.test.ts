/** Spans of the same calls, as a stock Envoy and the embedded data plane send them to a collector over OTLP. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingHttpHeaders, request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { create, fromBinary, type JsonObject, toJson } from '@bufbuild/protobuf';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { snapshotFromText } from '../../src/config/memory.ts';
import type { ProxyIdentity } from '../../src/lib/proxy-identity.ts';
import { buildRegistry } from '../../src/registry/index.ts';
import { startTranslation } from '../../src/translate/context.ts';
import { tracingSettings } from '../../src/translate/tracing-settings.ts';
import { HttpConnectionManagerSchema } from '../../src/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { ExportTraceServiceRequestSchema, type Span } from '../../src/xds/gen/opentelemetry/trace_pb.js';
import { typeRegistry } from '../../src/xds/type-registry.ts';
import { meshConfigOf } from '../support/mesh.ts';
import { ROUTER, SIDECAR } from '../support/translated.ts';
import { dataPlane } from './dataplane/support.ts';
import { startEnvoy } from './envoy-process.ts';

const TYPE = 'type.googleapis.com/envoy.extensions';
const COLLECTOR = 'outbound|4317||otel.observability.svc.cluster.local';
const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: otel, namespace: observability }
spec: { ports: [{ name: grpc-otlp, port: 4317 }] }
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: mesh, namespace: istio-system }
spec:
  tracing:
    - providers: [{ name: otel }]
      randomSamplingPercentage: 100
      customTags:
        team: { literal: { value: checkout } }
        tenant: { header: { name: X-Tenant, defaultValue: none } }
        absent: { header: { name: x-absent } }
`;

/** A collector's side of OTLP over gRPC. */
async function collector(
  t: TestContext,
): Promise<{ readonly port: number; readonly services: Set<string>; spans(count: number): Promise<readonly Span[]> }> {
  const spans: Span[] = [];
  const services = new Set<string>();
  let heard = () => {};
  const server = new Server();
  const asItIs = (bytes: Buffer) => bytes;
  const method = {
    path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    requestStream: false,
    responseStream: false,
    requestSerialize: asItIs,
    requestDeserialize: asItIs,
    responseSerialize: asItIs,
    responseDeserialize: asItIs,
  } as const;
  server.addService(
    { Export: method },
    {
      Export: ({ request: bytes }: { request: Buffer }, done: (error: null, answer: Buffer) => void) => {
        for (const { resource, scopeSpans } of fromBinary(ExportTraceServiceRequestSchema, bytes).resourceSpans) {
          for (const { key, value } of resource?.attributes ?? []) if (key === 'service.name') services.add(String(value?.value.value));
          spans.push(...scopeSpans.flatMap((each) => each.spans));
        }
        heard();
        done(null, Buffer.alloc(0));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  t.after(() => server.forceShutdown());
  return {
    port,
    services,
    async spans(count) {
      while (spans.length < count) await new Promise<void>((resolve) => (heard = resolve));
      return spans.splice(0);
    },
  };
}

function listenerOf(proxy: ProxyIdentity, direction: 'OUTBOUND' | 'UNSPECIFIED' | 'INBOUND'): JsonObject {
  const config = meshConfigOf({
    extensionProviders: [{ name: 'otel', opentelemetry: { service: 'otel.observability.svc.cluster.local', port: 4317 } }],
  });
  const snapshot = snapshotFromText(SERVICE);
  const { context } = startTranslation(proxy, { snapshot, config, registry: buildRegistry(snapshot, config).registry });
  const settings = create(HttpConnectionManagerSchema, tracingSettings(context.mesh.config, direction === 'INBOUND' ? 'SERVER' : 'CLIENT'));
  const route = (prefix: string, cluster: string) => ({
    match: { prefix },
    route: { cluster },
    decorator: { operation: 'up.example.com:80/*' },
  });
  const manager = {
    ...(toJson(HttpConnectionManagerSchema, settings, { registry: typeRegistry }) as JsonObject),
    '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    statPrefix: 'x',
    httpFilters: [{ name: 'envoy.filters.http.router', typedConfig: { '@type': `${TYPE}.filters.http.router.v3.Router` } }],
    routeConfig: {
      name: 'r',
      validateClusters: false,
      virtualHosts: [
        {
          name: 'v',
          domains: ['www.example.com'],
          routes: [
            route('/none', 'nowhere'),
            route('/refused', 'refusing'),
            { match: { prefix: '/direct' }, directResponse: { status: 404 } },
            route('/', 'up'),
          ],
        },
      ],
    },
  };
  return {
    name: 'l',
    trafficDirection: direction,
    address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
    filterChains: [{ name: 'chain', filters: [{ name: 'envoy.filters.network.http_connection_manager', typedConfig: manager }] }],
  };
}

function clustersOf(upstream: number, otlp: number): JsonObject[] {
  const cluster = (name: string, portValue: number): JsonObject => ({
    name,
    type: 'STATIC',
    connectTimeout: '1s',
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue } } } }] }],
    },
  });
  const http2 = {
    '@type': `${TYPE}.upstreams.http.v3.HttpProtocolOptions`,
    explicitHttpConfig: { http2ProtocolOptions: {} },
  };
  return [
    cluster('up', upstream),
    // Port 1 of the loopback has no listener.
    cluster('refusing', 1),
    { ...cluster(COLLECTOR, otlp), typedExtensionProtocolOptions: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': http2 } },
  ];
}

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const UNSAMPLED = '00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-00';
const CALLS: readonly (readonly [path: string, headers: Readonly<Record<string, string>>])[] = [
  ['/a?b=c', { 'user-agent': 'test', 'x-tenant': 'blue' }],
  ['/child', { traceparent: PARENT, tracestate: 'vendor=1' }],
  ['/unsampled', { traceparent: UNSAMPLED }],
  ['/none', {}],
  ['/refused', {}],
  ['/direct', {}],
  ['/broken', { traceparent: '00-nonsense' }],
  ['/500', { 'x-envoy-decorator-operation': 'from.before:80/*' }],
  [`/${'long'.repeat(100)}`, {}],
  ['/grpc', { 'content-type': 'application/grpc', te: 'trailers' }],
];
/** Those whose spans are reported: all but the one that is not sampled and the one whose trace can't be read. */
const REPORTED = CALLS.length - 2;

async function callAll(port: number): Promise<void> {
  for (const [path, headers] of CALLS) {
    const call = request({
      port,
      host: '127.0.0.1',
      path,
      method: 'POST',
      headers: { host: 'www.example.com', 'x-request-id': ID, ...headers },
    });
    call.end('abc');
    const [answer] = await once(call, 'response');
    answer.resume();
    await once(answer, 'end');
  }
}
const ID = '00000001-1111-4111-8111-111111111111';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** All of a span but when it was, and which random number it has. */
function said(span: Span, port: number) {
  const attributes = span.attributes
    .map(({ key, value }) => `${key}=${String(value?.value.value)}`)
    .filter((each) => !each.startsWith('upstream_address'))
    .sort();
  const parent = hex(span.parentSpanId);
  return {
    name: span.name,
    kind: span.kind,
    status: span.status?.code ?? 0,
    state: span.traceState,
    trace: span.parentSpanId.length > 0 && hex(span.traceId).startsWith('0af7') ? hex(span.traceId) : 'new',
    parent: parent === 'b7ad6b7169203331' || parent === '' ? parent : 'a span',
    attributes: attributes.map((each) => each.replaceAll(`:${port}`, ':PORT')),
  };
}

const envoy = findEnvoy();
const skip = envoy === undefined && 'no Envoy here: set ENVOY';

for (const [what, proxy, direction] of [
  ['a sidecar sends', SIDECAR, 'OUTBOUND'],
  ['a sidecar receives', SIDECAR, 'INBOUND'],
  ['a gateway passes on', ROUTER, 'UNSPECIFIED'],
] as const) {
  test(`spans of calls that ${what}`, { skip, timeout: 60_000 }, async (t) => {
    const seen: IncomingHttpHeaders[] = [];
    const upstream = createHttpServer((incoming, answer) => {
      seen.push(incoming.headers);
      answer.statusCode = incoming.url === '/500' ? 500 : 200;
      incoming.resume().on('end', () => answer.end('got it'));
    });
    upstream.listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    t.after(() => upstream.close());
    const { port: at } = upstream.address() as AddressInfo;
    const otlp = await collector(t);
    const [listener, clusters] = [listenerOf(proxy, direction), clustersOf(at, otlp.port)];
    const withUpstream = CALLS.filter(([path]) => !/none|refused|direct|unsampled|broken/.test(path)).length;
    // A gateway's calls to its servers have spans of their own, also those that could not connect.
    const count = REPORTED + (proxy === ROUTER ? withUpstream + 1 : 0);
    const all = async (port: number) => {
      await callAll(port);
      const spans = await otlp.spans(count);
      return {
        spans: spans.map((span) => said(span, at)),
        raw: spans,
        upstream: seen
          .splice(0)
          .map(({ traceparent, tracestate, 'x-request-id': id }) => ({ traceparent: String(traceparent), tracestate, id })),
      };
    };
    const theirs = await startEnvoy(envoy!, listener, clusters);
    t.after(() => theirs.stop());
    const expected = await all(theirs.port);
    const ours = await dataPlane(t);
    assert.deepEqual((await ours.set({ listeners: [listener], clusters })).rejected, []);
    const found = await all(ours.port('l'));
    const sorted = (spans: readonly ReturnType<typeof said>[]) =>
      spans.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    assert.deepEqual(sorted(found.spans), sorted(expected.spans));
    const shape = (each: (typeof found.upstream)[number]) => ({
      ...each,
      traceparent: each.traceparent.replace(/-[0-9a-f]{16}-/, '-SPAN-').replace(/^00-(?!0af7)[0-9a-f]{32}/, '00-NEW'),
    });
    assert.deepEqual(found.upstream.map(shape), expected.upstream.map(shape));
    assert.deepEqual([...otlp.services].length, 1, 'both name the proxy alike');
    // What goes upstream is the span that was reported.
    const reported = new Set(found.raw.map((span) => `00-${hex(span.traceId)}-${hex(span.spanId)}-01`));
    assert.ok(
      found.upstream.filter(({ traceparent }) => traceparent.endsWith('-01')).every(({ traceparent }) => reported.has(traceparent)),
    );
  });
}

test('a collector that is away costs no call, and what it missed is counted', { timeout: 60_000 }, async (t) => {
  const upstream = createHttpServer((_, answer) => answer.end('got it')).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  t.after(() => upstream.close());
  const gone = createServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address() as AddressInfo;
  gone.close();
  const ours = await dataPlane(t);
  const clusters = clustersOf((upstream.address() as AddressInfo).port, port);
  assert.deepEqual((await ours.set({ listeners: [listenerOf(SIDECAR, 'OUTBOUND')], clusters })).rejected, []);
  const call = request({ port: ours.port('l'), host: '127.0.0.1', path: '/a', headers: { host: 'www.example.com' } }).end();
  const [answer] = await once(call, 'response');
  assert.equal(answer.resume().statusCode, 200);
  const counted = () => ours.plane.stats().counters.find(({ name }) => name === 'tracing.opentelemetry.spans_dropped')?.value;
  // Nothing tells when it has been tried for the last time.
  while (counted() !== 1) await new Promise((resolve) => setTimeout(resolve, 100));
});
