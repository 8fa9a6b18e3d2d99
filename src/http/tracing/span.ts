/** What one hop of a request is told as to a collector of traces: Envoy's names and tags. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { CustomTag } from '../../xds/gen/envoy/type/tracing/v3/custom_tag_pb.js';
import { type KeyValueSchema, type Span, SpanKind, SpanSchema, StatusCode } from '../../xds/gen/opentelemetry/trace_pb.js';
import { grpcStatus } from '../format/operators.ts';
import { metadataAt } from '../format/operators-metadata.ts';
import type { FormatRecord } from '../format/record.ts';
import type { Direction } from '../response.ts';
import type { TraceContext } from './context.ts';

export interface SpanOptions {
  readonly direction: Direction;
  readonly mostOfPath: number;
  /** Tags of every span of a hop. */
  readonly always: readonly (readonly [name: string, value: string])[];
  readonly tags: readonly ((record: FormatRecord) => readonly [name: string, value: string] | undefined)[];
}

/** Of the hop, and of its call to the server where that has its own. @param operation what the route calls it; empty for nothing */
export function spansOf(record: FormatRecord, trace: TraceContext, operation: string, options: SpanOptions): Span[] {
  const outbound = options.direction === 'outbound';
  const named = outbound ? operation : trace.operation || operation;
  const own = spanOf(record, trace, {
    id: trace.spanId,
    parent: trace.parentId,
    name: named || (outbound ? `egress ${record.authority}` : 'ingress'),
    client: outbound,
    status: record.responseCode,
    tags: tagsOf(record, options),
  });
  if (trace.upstreamId === '' || record.upstreamHost === undefined) return [own];
  const name = `router ${record.upstreamCluster} egress`;
  const status = record.responseStarted > 0 ? record.responseCode : 0;
  const tags = upstreamTagsOf(record, status, options);
  return [own, spanOf(record, trace, { id: trace.upstreamId, parent: trace.spanId, name, client: true, status, tags })];
}

interface SpanParts {
  readonly id: string;
  readonly parent: string;
  readonly name: string;
  readonly client: boolean;
  /** Of the response; 0 where none came. */
  readonly status: number;
  readonly tags: Iterable<readonly [name: string, value: string]>;
}

function spanOf(record: FormatRecord, trace: TraceContext, { id, parent, name, client, status, tags }: SpanParts): Span {
  const { startTime } = record;
  const failed = status === 0 || status >= 500;
  const attributes = [...tags, ...(failed ? [['error', 'true'] as const] : [])];
  return create(SpanSchema, {
    traceId: Buffer.from(trace.traceId, 'hex'),
    spanId: Buffer.from(id, 'hex'),
    parentSpanId: Buffer.from(parent, 'hex'),
    traceState: trace.state,
    name,
    kind: client ? SpanKind.CLIENT : SpanKind.SERVER,
    startTimeUnixNano: nanoseconds(startTime),
    endTimeUnixNano: nanoseconds(startTime + record.ended - record.started),
    attributes: attributes.map(([key, value]) => attribute(key, value)),
    ...(status >= (client ? 400 : 500) && { status: { code: StatusCode.ERROR } }),
  });
}

/** `key` and a text, as OTLP has attributes. */
export function attribute(key: string, value: string): MessageInitShape<typeof KeyValueSchema> {
  return { key, value: { value: { case: 'stringValue', value } } };
}

function nanoseconds(ms: number): bigint {
  return BigInt(Math.round(ms * 1000)) * 1000n;
}

function* tagsOf(record: FormatRecord, options: SpanOptions): Generator<readonly [name: string, value: string]> {
  const { requestHeaders: headers, downstream, authority } = record;
  const header = (name: string) => headers?.get(name);
  yield* options.always;
  const id = header('x-request-id');
  if (id !== undefined) yield ['guid:x-request-id', id];
  const path = (header('x-envoy-original-path') ?? record.path).slice(0, options.mostOfPath);
  yield ['http.url', `${header('x-forwarded-proto') ?? record.scheme}://${authority}${path}`];
  yield ['http.method', record.method];
  yield ['downstream_cluster', header('x-envoy-downstream-service-cluster') ?? '-'];
  yield ['user_agent', header('user-agent') ?? '-'];
  yield ['http.protocol', record.protocol];
  yield ['peer.address', downstream.directRemoteAddress.ip];
  const client = header('x-client-trace-id');
  if (client !== undefined) yield ['guid:x-client-trace-id', client];
  yield ['request_size', String(record.bytesReceived)];
  yield ['response_size', String(record.bytesSent)];
  yield* commonTags(record, record.responseCode, options);
  if (header('content-type')?.startsWith('application/grpc')) {
    yield ['grpc.path', path];
    yield ['grpc.authority', authority];
    yield ['grpc.content_type', header('content-type')!];
    const status = grpcStatus(record);
    if (status !== undefined) yield ['grpc.status_code', String(status)];
  }
}

function* upstreamTagsOf(record: FormatRecord, status: number, options: SpanOptions): Generator<readonly [name: string, value: string]> {
  const { upstreamHost: host, upstreamProtocol } = record;
  yield ['http.protocol', status > 0 ? (upstreamProtocol ?? record.protocol) : '-'];
  yield ['upstream_address', host!.text];
  yield ['peer.address', host!.text];
  if (record.flags.includes('UF')) yield ['error.reason', 'remote connection failure'];
  yield* commonTags(record, status, options);
}

function* commonTags(record: FormatRecord, status: number, { tags }: SpanOptions): Generator<readonly [name: string, value: string]> {
  const { upstreamCluster, flags } = record;
  yield ['component', 'proxy'];
  if (upstreamCluster !== '') {
    yield ['upstream_cluster', upstreamCluster];
    yield ['upstream_cluster.name', upstreamCluster];
  }
  yield ['http.status_code', String(status)];
  yield ['response_flags', flags.join(',') || '-'];
  for (const tag of tags) {
    const made = tag(record);
    if (made) yield made;
  }
}

/** A tag that a configuration adds; undefined values are left out, as in Envoy. */
export function customTag(
  { tag, type }: CustomTag,
  environment: Readonly<Record<string, string | undefined>>,
): SpanOptions['tags'][number] {
  const fixed = (value: string | undefined) => (value ? () => [tag, value] as const : () => undefined);
  switch (type.case) {
    case 'literal':
      return fixed(type.value.value);
    case 'environment':
      return fixed(environment[type.value.name] || type.value.defaultValue);
    case 'requestHeader': {
      const { name, defaultValue } = type.value;
      const lower = name.toLowerCase();
      return ({ requestHeaders }) => {
        const value = requestHeaders?.get(lower) || defaultValue;
        return value ? [tag, value] : undefined;
      };
    }
    case 'metadata': {
      const { kind, metadataKey, defaultValue } = type.value;
      if (kind?.kind.case !== 'request') return () => undefined;
      const keys = [metadataKey?.key ?? '', ...(metadataKey?.path ?? []).map(({ segment }) => segment.value ?? '')];
      return ({ dynamicMetadata }) => {
        const value = metadataAt(dynamicMetadata, keys) ?? defaultValue;
        return value === '' ? undefined : [tag, typeof value === 'string' ? value : JSON.stringify(value)];
      };
    }
    default:
      return () => undefined;
  }
}
