/** Spans as a collector takes them, over OTLP. */
import { create, toBinary } from '@bufbuild/protobuf';
import { HeaderMap } from '../../http/header-map.ts';
import type { SideAnswer, SideCall } from '../../http/side-call.ts';
import type { CollectorTarget } from '../../http/tracing/settings.ts';
import { attribute } from '../../http/tracing/span.ts';
import { prefixOf } from '../../lib/grpc/messages.ts';
import { ExportTraceServiceRequestSchema, type Span } from '../../xds/gen/opentelemetry/trace_pb.js';

/** For one message where the configuration says nothing, ms. */
const TIMEOUT_MS = 10_000;

export function spansCall(spans: readonly Span[], target: CollectorTarget, serviceName: string): SideCall {
  const resource = { attributes: [attribute('service.name', serviceName)] };
  const request = create(ExportTraceServiceRequestSchema, { resourceSpans: [{ resource, scopeSpans: [{ spans: [...spans] }] }] });
  const message = toBinary(ExportTraceServiceRequestSchema, request);
  const { cluster, authority, path, grpc } = target;
  const timeoutMs = target.timeoutMs || TIMEOUT_MS;
  const headers = new HeaderMap(grpc ? ['te', 'trailers', 'content-type', 'application/grpc'] : ['content-type', 'application/x-protobuf']);
  const body = grpc ? Buffer.concat([prefixOf(message), message]) : Buffer.from(message);
  if (!grpc) headers.append('content-length', String(body.length));
  for (const [name, value] of target.headers) headers.set(name, value);
  return { cluster, method: 'POST', path, authority, scheme: 'http', headers, body, timeoutMs };
}

export function spansTaken(answer: SideAnswer | undefined): boolean {
  if (answer === undefined || answer.status < 200 || answer.status > 299) return false;
  const status = answer.trailers?.get('grpc-status') ?? answer.headers.get('grpc-status');
  return status === undefined || status === '0';
}
