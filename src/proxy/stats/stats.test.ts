import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { fromJson } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { SAMPLE_RECORD } from '../../http/format/testing.ts';
import { HeaderMap } from '../../http/header-map.ts';
import { ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import type { AccessRecord, Downstream } from '../types.ts';
import {
  clusterStatsSource,
  countConnections,
  createHttpMetrics,
  createTcpMetrics,
  Histogram,
  listenerStatName,
  listenerStatsSource,
  mergeSnapshots,
  parseWorkload,
  printPrometheus,
  printText,
  StatsRegistry,
  serviceOfMetadata,
  sinceSnapshot,
  statsJson,
  workloadOfNode,
  zeroClusterStats,
} from './index.ts';
import { IstioMetrics } from './istio.ts';

const printed = (print: typeof printPrometheus, ...args: Parameters<typeof printPrometheus>) => [...print(...args)].join('');

const record = (fields: Partial<AccessRecord> = {}): AccessRecord => ({ ...(SAMPLE_RECORD as unknown as AccessRecord), ...fields });
const self = workloadOfNode({
  NAME: 'sleep-1',
  NAMESPACE: 'default',
  WORKLOAD_NAME: 'sleep',
  CLUSTER_ID: 'Kubernetes',
  LABELS: { app: 'sleep', 'service.istio.io/canonical-name': 'sleeper' },
});
const istio = {
  self,
  reporter: 'source' as const,
  serviceOf: (cluster: string) =>
    serviceOfMetadata(
      cluster.startsWith('outbound') ? { istio: { services: [{ host: 'www.example.com', name: 'www', namespace: 'ext' }] } } : undefined,
    ),
};

test('the same name is the same counter; snapshots add up', () => {
  const one = new StatsRegistry();
  one.counter('a').value += 2;
  assert.equal(one.counter('a'), one.counter('a'));
  assert.notEqual(one.counter('a'), one.counter('a', [['l', 'x']]));
  one.gauge('g').value = 3;
  one.histogram('h').record(7);
  const two = new StatsRegistry();
  two.counter('a').value = 5;
  two.gauge('g').value = 1;
  two.histogram('h').record(7000);
  two.counter('b').value = 1;
  const merged = mergeSnapshots([structuredClone(one.snapshot()), structuredClone(two.snapshot())]);
  assert.deepEqual(
    merged.counters.filter(({ labels }) => !labels).map(({ name, value }) => [name, value]),
    [
      ['a', 7],
      ['b', 1],
    ],
  );
  assert.equal(merged.gauges[0]?.value, 4);
  assert.deepEqual([merged.histograms[0]?.count, merged.histograms[0]?.sum], [2, 7007]);
  const since = sinceSnapshot(merged, two.snapshot());
  assert.deepEqual([since.counters[0]?.value, since.gauges[0]?.value, since.histograms[0]?.count], [2, 4, 1]);
});

test('a histogram counts each value in the first bucket that holds it', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1e7, noNaN: true }), { maxLength: 20 }), (values) => {
      const histogram = new Histogram();
      for (const value of values) histogram.record(value);
      const expected = histogram.counts.map(
        (_, i) =>
          values.filter((value) => value <= (histogram.bounds[i] ?? Infinity) && (i === 0 || value > histogram.bounds[i - 1]!)).length,
      );
      assert.deepEqual(histogram.counts, expected);
      assert.equal(histogram.count, values.length);
    }),
    { seed: 1 },
  );
});

test("requests: Envoy's counters and Istio's labels", () => {
  const registry = new StatsRegistry();
  const sink = createHttpMetrics({ registry, statPrefix: 'outbound_0.0.0.0_80', istio });
  sink.record(record());
  sink.record(record());
  sink.record(
    record({ responseCode: 404, flags: ['NR'], responseCodeDetails: 'route_not_found', upstreamCluster: '', upstreamHost: undefined }),
  );
  const text = printed(printPrometheus, registry.snapshot());
  const lines = text.split('\n');
  assert.ok(lines.includes('envoy_http_downstream_rq{response_code_class="2xx",http_conn_manager_prefix="outbound_0.0.0.0_80"} 2'), text);
  assert.ok(lines.includes('envoy_http_no_route{http_conn_manager_prefix="outbound_0.0.0.0_80"} 1'));
  assert.ok(lines.includes('envoy_cluster_upstream_rq{response_code="200",cluster_name="outbound|80||www.example.com"} 2'));
  assert.ok(
    lines.includes(
      'istio_requests_total{reporter="source",source_workload="sleep",source_canonical_service="sleeper",source_canonical_revision="latest",source_workload_namespace="default",source_principal="unknown",source_app="sleep",source_version="unknown",source_cluster="Kubernetes",destination_workload="unknown",destination_workload_namespace="unknown",destination_principal="unknown",destination_app="unknown",destination_version="unknown",destination_service="www.example.com",destination_canonical_service="unknown",destination_canonical_revision="latest",destination_service_name="www",destination_service_namespace="ext",destination_cluster="unknown",request_protocol="http",response_code="200",grpc_response_status="",response_flags="-",connection_security_policy="unknown"} 2',
    ),
    text,
  );
  assert.match(text, /istio_requests_total\{[^}]*response_code="404"[^}]*response_flags="NR"[^}]*\} 1/);
  assert.match(text, /istio_request_duration_milliseconds_bucket\{[^}]*response_code="200"[^}]*le="25"\} 2/);
  assert.match(text, /istio_response_bytes_sum\{[^}]*response_code="200"[^}]*\} 512/);
  assert.ok(text.includes('# TYPE istio_request_duration_milliseconds histogram\n'));
});

test("replies that the proxy gives for a cluster are the cluster's; retries are counted", () => {
  const registry = new StatsRegistry();
  const sink = createHttpMetrics({ registry, statPrefix: 'x', istio: undefined });
  const cluster = { upstreamCluster: 'c', responseCode: 503, responseCodeDetails: 'upstream_reset_before_response_started' };
  sink.record(record({ ...cluster, attempts: 3, flags: ['URX', 'UF'] }));
  sink.record(record({ upstreamCluster: 'c', attempts: 2 }));
  sink.record(record({ upstreamCluster: 'c', responseCode: 0, responseCodeDetails: 'downstream_remote_disconnect', flags: ['DC'] }));
  registry.addSource(
    clusterStatsSource(() => [{ name: 'c', stats: { ...zeroClusterStats(), upstreamRq5xx: 4 }, members: { total: 2, healthy: 1 } }]),
  );
  const lines = printed(printText, registry.snapshot(), { filter: (name) => name.startsWith('cluster.'), usedOnly: true }).split('\n');
  for (const line of [
    'upstream_rq_503: 1',
    'upstream_rq_200: 1',
    'upstream_rq_5xx: 5',
    'upstream_rq_completed: 2',
    'upstream_rq_retry: 3',
    'upstream_rq_retry_success: 1',
    'upstream_rq_retry_limit_exceeded: 1',
    'membership_total: 2',
    'membership_healthy: 1',
  ]) {
    assert.ok(lines.includes(`cluster.c.${line}`), `${line} in ${lines.join('\n')}`);
  }
  const two = mergeSnapshots([registry.snapshot(), registry.snapshot()]);
  assert.deepEqual(
    two.gauges.filter(({ name }) => name.includes('membership')).map(({ value }) => value),
    [2, 1],
  );
});

test('inbound requests: who called, by certificate', () => {
  const registry = new StatsRegistry();
  const sink = createHttpMetrics({ registry, statPrefix: 'in', istio: { ...istio, reporter: 'destination' } });
  const peer = { uriSans: ['spiffe://cluster.local/ns/a/sa/b'], dnsSans: [], subject: '', sha256: '' };
  sink.record(record({ downstream: { ...record().downstream, tls: { version: 'TLSv1.3', cipher: '', peer } } }));
  const text = printed(printPrometheus, registry.snapshot());
  assert.match(
    text,
    /istio_requests_total\{reporter="destination",source_workload="unknown",.*source_principal="spiffe:\/\/cluster.local\/ns\/a\/sa\/b",.*destination_workload="sleep",.*connection_security_policy="mutual_tls"\} 1/,
  );
});

test('connections are counted once, whether or not their start was told', () => {
  const registry = new StatsRegistry();
  const sink = createTcpMetrics({ registry, statPrefix: 'PassthroughCluster', istio });
  const tcp = { protocol: '', upstreamCluster: 'PassthroughCluster', bytesReceived: 10, bytesSent: 20 };
  const told = record(tcp);
  sink.opened(told);
  assert.match(
    printed(printPrometheus, registry.snapshot()),
    /istio_tcp_connections_opened_total\{[^}]*destination_service="unknown"[^}]*destination_service_name="PassthroughCluster"[^}]*request_protocol="tcp",response_flags="-"[^}]*\} 1/,
  );
  sink.record(told);
  sink.record(record(tcp));
  const text = printed(printPrometheus, registry.snapshot());
  assert.match(text, /istio_tcp_connections_opened_total\{[^}]*\} 2/);
  assert.match(text, /istio_tcp_connections_closed_total\{[^}]*\} 2/);
  assert.match(text, /istio_tcp_sent_bytes_total\{[^}]*\} 40/);
  assert.match(text, /envoy_tcp_downstream_cx_rx_bytes_total\{tcp_prefix="PassthroughCluster"\} 20/);
});

test("clusters' own counters, in all forms", () => {
  const registry = new StatsRegistry();
  const limit = { max: 1, used: 0 };
  const stats = { ...zeroClusterStats(), upstreamRq2xx: 3, upstreamCxActive: 1, upstreamCxTxBytes: 9, upstreamRqPendingOverflow: 2 };
  const remove = registry.addSource(
    clusterStatsSource(() => [
      { name: 'outbound|80||a.b', stats, limits: { connections: { max: 1, used: 1 }, pending: limit, requests: limit, retries: limit } },
    ]),
  );
  const text = printed(printText, registry.snapshot(), { usedOnly: true });
  assert.equal(
    text,
    'cluster.outbound|80||a.b.circuit_breakers.default.cx_open: 1\n' +
      'cluster.outbound|80||a.b.upstream_cx_active: 1\n' +
      'cluster.outbound|80||a.b.upstream_cx_tx_bytes_total: 9\n' +
      'cluster.outbound|80||a.b.upstream_rq_2xx: 3\n' +
      'cluster.outbound|80||a.b.upstream_rq_pending_overflow: 2\n',
  );
  assert.ok(
    printed(printPrometheus, registry.snapshot()).includes(
      'envoy_cluster_circuit_breakers_default_cx_open{cluster_name="outbound|80||a.b"} 1\n',
    ),
  );
  assert.deepEqual(statsJson(registry.snapshot(), { filter: (name) => name.endsWith('_2xx') }), {
    stats: [{ name: 'cluster.outbound|80||a.b.upstream_rq_2xx', value: 3 }],
  });
  remove();
  assert.equal(printed(printText, registry.snapshot()), '');
});

test('histograms as text: quantiles', () => {
  const registry = new StatsRegistry();
  const histogram = registry.histogram('cluster.a.upstream_rq_time');
  assert.equal(printed(printText, registry.snapshot()), 'cluster.a.upstream_rq_time: No recorded values\n');
  for (let i = 0; i < 100; i++) histogram.record(20);
  assert.match(
    printed(printText, registry.snapshot()),
    /^cluster.a.upstream_rq_time: P0\(nan,10\) P25\(nan,13.75\) P50\(nan,17.5\) .* P100\(nan,25\)\n$/,
  );
});

test('label values are escaped', () => {
  const registry = new StatsRegistry();
  registry.counter('f', [['l', 'a"b\\c\nd']]).value = 1;
  assert.equal(printed(printPrometheus, registry.snapshot()), '# TYPE f counter\nf{l="a\\"b\\\\c\\nd"} 1\n');
});

test('the workload behind an endpoint, as Istio writes it', () => {
  assert.deepEqual(parseWorkload('w;ns;cs;rev;cl'), {
    workload: 'w',
    namespace: 'ns',
    app: 'cs',
    version: 'rev',
    canonicalService: 'cs',
    canonicalRevision: 'rev',
    cluster: 'cl',
  });
  assert.equal(parseWorkload('').workload, 'unknown');
});

test('listeners and the connections of connection managers', () => {
  const registry = new StatsRegistry();
  const stats = { downstreamCxTotal: 4, noFilterChainMatch: 1, downstreamPreCxTimeout: 0, sslHandshakeError: 2 };
  const config = fromJson(ListenerSchema, { name: 'l', address: { socketAddress: { address: '::1', portValue: 80 } } });
  registry.addSource(listenerStatsSource(() => [{ statName: listenerStatName(config), active: 3, stats }]));
  const taken: unknown[] = [];
  const handler = countConnections(registry, 'x', {
    onConnection: (downstream) => taken.push(downstream),
    drain: () => taken.push('drain'),
    active: 7,
  });
  const socket = new EventEmitter();
  const downstream = { socket } as unknown as Downstream;
  handler.onConnection(downstream);
  handler.drain();
  assert.deepEqual([taken, handler.active], [[downstream, 'drain'], 7]);
  const lines = printed(printPrometheus, registry.snapshot()).split('\n');
  assert.ok(lines.includes('envoy_listener_downstream_cx_total{listener_address="[__1]_80"} 4'), lines.join('\n'));
  assert.ok(lines.includes('envoy_listener_ssl_connection_error{listener_address="[__1]_80"} 2'));
  assert.ok(lines.includes('envoy_http_downstream_cx_active{http_conn_manager_prefix="x"} 1'));
  socket.emit('close');
  assert.equal(registry.gauge('http.x.downstream_cx_active').value, 0);
});

test('a connection that goes back to the listener between two requests is counted where it is, and leaves nothing on its socket', () => {
  const registry = new StatsRegistry();
  const taken: Downstream[] = [];
  const manager = (name: string) =>
    countConnections(registry, name, { onConnection: (downstream) => taken.push(downstream), drain: () => undefined, active: 0 });
  const [one, other] = [manager('one'), manager('other')];
  const socket = new EventEmitter();
  const unread: string[] = [];
  const downstream = { socket, reenter: (bytes: Buffer) => unread.push(String(bytes)) } as unknown as Downstream;
  const active = () => ['one', 'other'].map((name) => registry.gauge(`http.${name}.downstream_cx_active`).value);
  for (let i = 0; i < 20; i++) {
    (i % 2 === 0 ? one : other).onConnection(downstream);
    assert.deepEqual(active(), i % 2 === 0 ? [1, 0] : [0, 1]);
    if (i < 19) taken.at(-1)!.reenter!(Buffer.from(`${i}`));
  }
  assert.equal(unread.length, 19);
  assert.equal(socket.listenerCount('close'), 1);
  socket.emit('close');
  assert.deepEqual(active(), [0, 0]);
});

test('what clients send makes no series of its own', () => {
  const registry = new StatsRegistry();
  const metrics = new IstioMetrics(registry, { ...istio, serviceOf: () => undefined });
  for (let i = 0; i < 20_000; i++)
    metrics.http(record({ authority: `${'x'.repeat(200)}${i}.example.com`, upstreamCluster: 'PassthroughCluster' }));
  const text = printed(printPrometheus, registry.snapshot());
  assert.match(text, /istio_requests_total\{[^}]*destination_service="unknown"[^}]*\} 20000/);
  assert.equal(text.match(/^istio_requests_total\{/gm)?.length, 1);
});

test('identities, statuses and flags without end make a bounded number of series, and nothing is lost', () => {
  const registry = new StatsRegistry();
  const metrics = new IstioMetrics(registry, { ...istio, reporter: 'destination' });
  const downstream = (i: number) => ({ tls: { peer: { uriSans: [`spiffe://a/ns/b/sa/${i}`] } } }) as unknown as Downstream;
  for (let i = 0; i < 7000; i++) metrics.http(record({ downstream: downstream(i) }));
  for (let i = 0; i < 7000; i++) metrics.opened(record({ downstream: downstream(i) }));
  const text = printed(printPrometheus, registry.snapshot());
  const requests = [...text.matchAll(/^istio_requests_total\{(.*)\} (\d+)$/gm)];
  assert.equal(requests.length, 5001);
  assert.equal(
    requests.reduce((sum, [, , value]) => sum + Number(value), 0),
    7000,
  );
  assert.ok(requests.some(([, labels, value]) => labels!.includes('response_code="other"') && value === '2000'));
  assert.match(text, /^istio_tcp_connections_opened_total\{[^}]*response_flags="other"[^}]*\} 7000$/m);
});

test('a gRPC status that does not exist is "other"', () => {
  const registry = new StatsRegistry();
  const metrics = new IstioMetrics(registry, istio);
  const requestHeaders = new HeaderMap(['content-type', 'application/grpc']);
  for (const status of ['0', '16', '17', '99999'])
    metrics.http(record({ requestHeaders, responseTrailers: new HeaderMap(['grpc-status', status]) }));
  const statuses = [
    ...printed(printPrometheus, registry.snapshot()).matchAll(/^istio_requests_total\{.*grpc_response_status="(\w*)".*\} (\d)$/gm),
  ];
  assert.deepEqual(
    statuses.map(([, status, value]) => `${status}: ${value}`),
    ['0: 1', '16: 1', 'other: 2'],
  );
});
