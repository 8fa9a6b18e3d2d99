import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { istioMetrics } from './istio-metrics.ts';

const NODE = { WORKLOAD_NAME: 'sleep', NAMESPACE: 'default', CLUSTER_ID: 'east', LABELS: { app: 'sleep' } };

/** However it is cut. */
async function served(page: string): Promise<string> {
  const whole = await text(Readable.from([Buffer.from(page)]).pipe(istioMetrics(NODE)));
  const bytes = [...Buffer.from(page)].map((byte) => Buffer.from([byte]));
  assert.equal(await text(Readable.from(bytes).pipe(istioMetrics(NODE))), whole);
  return whole;
}

const TAGS =
  'service="www.example.com;www;shop",cluster="outbound|80||www.example.com",flags="-",workload="www;shop;www;v1;west",code="200"';

test('what is not Istio’s passes as it is', async () => {
  const page = '# TYPE envoy_server_live gauge\nenvoy_server_live{} 1\n\nenvoy_istio_other{a="ä"} 5\n';
  assert.equal(await served(page), page);
});

test('a series has the labels that its tags and the proxy stand for', async () => {
  const page = await served(`# TYPE envoy_istio_source_requests_total counter\nenvoy_istio_source_requests_total{${TAGS},grpc=""} 7\n`);
  assert.match(page, /^# TYPE istio_requests_total counter\nistio_requests_total\{reporter="source",source_workload="sleep",/);
  for (const label of [
    'source_cluster="east"',
    'destination_workload="www"',
    'destination_service="www.example.com"',
    'destination_service_name="www"',
    'destination_service_namespace="shop"',
    'destination_cluster="west"',
    'request_protocol="http"',
    'response_code="200"',
    'response_flags="-"',
    'connection_security_policy="unknown"',
  ])
    assert.ok(page.includes(label), label);
});

test('at the destination the client is known by its identity', async () => {
  const tags = TAGS.replace(/workload="[^"]*"/, 'principal="spiffe://cluster.local/ns/other/sa/web"');
  const page = await served(`envoy_istio_destination_requests_total{${tags},grpc="99"} 1`);
  for (const label of [
    'source_principal="spiffe://cluster.local/ns/other/sa/web"',
    'source_workload="unknown"',
    'source_workload_namespace="other"',
    'destination_workload="sleep"',
    'connection_security_policy="mutual_tls"',
    'request_protocol="grpc"',
    'grpc_response_status="other"',
  ])
    assert.ok(page.includes(label), label);
});

test('series that come to the same labels are one; labels go, and are set', async () => {
  const of = (code: string, value: number) =>
    `envoy_istio_source_request_bytes_bucket{${TAGS.replace('200', code)},grpc="",without="response_code,source_app",set_team="red",le="10"} ${value}\n`;
  const page = await served(`# TYPE envoy_istio_source_request_bytes histogram\n${of('200', 3)}${of('404', 4)}`);
  assert.match(page, /^# TYPE istio_request_bytes histogram\nistio_request_bytes_bucket\{[^\n]*team="red",le="10"\} 7\n$/);
  assert.doesNotMatch(page, /response_code|source_app|without/);
});
