import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import {
  Cluster_ClusterProtocolSelection,
  ClusterSchema,
  Cluster_LbPolicy as LbPolicy,
} from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { HttpProtocolOptionsSchema } from '../../xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
import { readSettings } from './settings.ts';

const cluster = (options: Parameters<typeof create<typeof HttpProtocolOptionsSchema>>[1]) =>
  create(ClusterSchema, {
    name: 'c',
    typedExtensionProtocolOptions: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': anyPack(
        HttpProtocolOptionsSchema,
        create(HttpProtocolOptionsSchema, options),
      ),
    },
  });

test('filters of upstreams are refused by name, not left out', () => {
  assert.throws(() => readSettings(cluster({ httpFilters: [{ name: 'x' }] })), {
    code: 'xds-unsupported',
    message: /cluster "c"\.typed_extension_protocol_options\.http_filters/,
  });
});

test('network filters of upstreams are refused by name and type, but for those that only observe', () => {
  const of = (typeUrl: string) => create(ClusterSchema, { name: 'c', filters: [{ name: 'x', typedConfig: { typeUrl: `t/${typeUrl}` } }] });
  assert.doesNotThrow(() => readSettings(of('envoy.tcp.metadataexchange.config.MetadataExchange')));
  assert.throws(() => readSettings(of('some.Filter')), {
    code: 'xds-unsupported',
    message: /cluster "c"\.filters\[0\] "x": .*\(some\.Filter\)/,
  });
});

test('trailers of HTTP/1 go through where the upstream’s options say so', () => {
  const explicit = (enableTrailers: boolean) =>
    readSettings(
      cluster({
        upstreamProtocolOptions: {
          case: 'explicitHttpConfig',
          value: { protocolConfig: { case: 'httpProtocolOptions', value: { enableTrailers } } },
        },
      }),
    ).trailers;
  assert.deepEqual([explicit(true), explicit(false), readSettings(cluster({})).trailers], [true, false, false]);
});

test('keep-alives and the streams of a connection of HTTP/2 are read wherever the cluster has them', () => {
  const options = { maxConcurrentStreams: 5, connectionKeepalive: { interval: { seconds: 2n }, timeout: { seconds: 1n } } };
  for (const upstreamProtocolOptions of [
    { case: 'explicitHttpConfig', value: { protocolConfig: { case: 'http2ProtocolOptions', value: options } } },
    { case: 'autoConfig', value: { http2ProtocolOptions: options } },
    { case: 'useDownstreamProtocolConfig', value: { http2ProtocolOptions: options } },
  ] as const) {
    const { http2KeepAlive, http2MaxStreams } = readSettings(cluster({ upstreamProtocolOptions }));
    assert.deepEqual([http2KeepAlive, http2MaxStreams], [{ intervalMs: 2000, timeoutMs: 1000 }, 5], upstreamProtocolOptions.case);
  }
  const { http2KeepAlive, http2MaxStreams } = readSettings(cluster({}));
  assert.deepEqual([http2KeepAlive, http2MaxStreams], [undefined, 1024]);
});

test('least request chooses between as many as it says, and at least two', () => {
  const policy = (choiceCount?: number) =>
    readSettings(
      create(ClusterSchema, {
        name: 'c',
        lbPolicy: LbPolicy.LEAST_REQUEST,
        ...(choiceCount !== undefined && { lbConfig: { case: 'leastRequestLbConfig', value: { choiceCount } } }),
      }),
    ).policy;
  assert.deepEqual(
    [undefined, 1, 2, 5].map((count) => policy(count)),
    [2, 2, 2, 5].map((choices) => ({ kind: 'least-request', choices })),
  );
});

test('times that are not said are Envoy’s', () => {
  const { refreshMs, failureRefreshMs, connectTimeoutMs, cleanupMs, idleTimeoutMs, panicPercent, keepAliveMs, ignored } = readSettings(
    cluster({}),
  );
  assert.deepEqual([refreshMs, failureRefreshMs, connectTimeoutMs, cleanupMs, idleTimeoutMs], [5000, 5000, 5000, 5000, 3_600_000]);
  assert.deepEqual([panicPercent, keepAliveMs, ignored], [50, undefined, []]);
  const own = readSettings(
    create(ClusterSchema, {
      name: 'c',
      dnsRefreshRate: { seconds: 7n },
      connectTimeout: { seconds: 2n },
      upstreamConnectionOptions: { tcpKeepalive: {} },
      healthChecks: [{}],
      outlierDetection: { enforcingSuccessRate: 0, enforcingFailurePercentage: 5, maxEjectionTimeJitter: { seconds: 1n } },
    }),
  );
  assert.deepEqual([own.refreshMs, own.failureRefreshMs, own.connectTimeoutMs, own.keepAliveMs], [7000, 7000, 2000, 7_200_000]);
  assert.deepEqual(own.ignored, [
    'health_checks',
    'outlier_detection.enforcing_failure_percentage',
    'outlier_detection.max_ejection_time_jitter',
  ]);
});

test('what HTTP has in common is read of the upstream’s options, else of the cluster itself', () => {
  const hour = 3_600_000;
  const idle = (seconds: bigint) => ({ commonHttpProtocolOptions: { idleTimeout: { seconds } } });
  const idleMs = (options: Parameters<typeof cluster>[0], own: ReturnType<typeof idle> | object = {}) => {
    const { typedExtensionProtocolOptions } = cluster(options);
    return readSettings(create(ClusterSchema, { name: 'c', typedExtensionProtocolOptions, ...own })).idleTimeoutMs;
  };
  assert.deepEqual([idleMs({}), idleMs(idle(7n)), idleMs({}, idle(9n)), idleMs(idle(7n), idle(9n))], [hour, 7000, 9000, 7000]);
});

test('a cluster without upstream options speaks the protocol that its own fields ask for', () => {
  const of = (config: Parameters<typeof create<typeof ClusterSchema>>[1]) =>
    readSettings(create(ClusterSchema, { name: 'c', ...config })).protocol;
  assert.equal(of({}), 'http1');
  assert.equal(of({ http2ProtocolOptions: {} }), 'http2');
  assert.equal(of({ http2ProtocolOptions: {}, protocolSelection: Cluster_ClusterProtocolSelection.USE_DOWNSTREAM_PROTOCOL }), 'downstream');
});
