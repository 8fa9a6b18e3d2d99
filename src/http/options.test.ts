import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { HttpConnectionManagerSchema } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { typeRegistry } from '../xds/type-registry.ts';
import { readOptions } from './options.ts';

const manager = (json: JsonObject = {}) =>
  readOptions(
    fromJson(HttpConnectionManagerSchema, { stat_prefix: 'test', route_config: { name: 'own' }, ...json }, { registry: typeRegistry }),
  );

test('what a connection manager does not say is as in Envoy, except for windows and what an hour bounds', () => {
  const { path, clientCertFields, ...options } = manager();
  assert.deepEqual(options, {
    codec: 'auto',
    maxHeadBytes: 61_440,
    maxHeaders: 100,
    acceptHttp10: false,
    defaultHostForHttp10: '',
    customMethods: false,
    allowAbsoluteUrl: true,
    allowChunkedLength: false,
    trailers: false,
    underscores: 'allow',
    proxyContinue: false,
    stripPort: 'none',
    stripTrailingHostDot: false,
    useRemoteAddress: false,
    trustedHops: 0,
    skipXffAppend: false,
    appendForwardedPort: false,
    internalRanges: [],
    generateRequestId: true,
    preserveExternalRequestId: false,
    alwaysSetRequestIdInResponse: false,
    forwardClientCert: 'sanitize',
    serverName: 'envoy',
    serverHeader: 'overwrite',
    via: '',
    decorates: false,
    tracing: undefined,
    upgrades: new Map(),
    upstreamAlpn: undefined,
    streamIdleMs: 300_000,
    requestMs: 0,
    requestHeadersMs: 0,
    idleMs: 3_600_000,
    maxConnectionMs: 0,
    maxStreamMs: 0,
    drainMs: 5000,
    delayedCloseMs: 1000,
    maxRequestsPerConnection: 0,
    maxConcurrentStreams: 1024,
    initialStreamWindow: 262_144,
    initialConnectionWindow: 1_048_576,
    allowConnect: false,
    keepAlive: undefined,
  });
  assert.deepEqual(path, { normalize: false, mergeSlashes: false, escapedSlashes: 'keep' });
  assert.deepEqual(clientCertFields, { subject: false, cert: false, chain: false, dns: false, uri: false });
});

test('what it does say counts', () => {
  const options = manager({
    strip_any_host_port: true,
    upgrade_configs: [{ upgrade_type: 'WebSocket' }, { upgrade_type: 'CONNECT', enabled: false }],
    set_current_client_cert_details: { subject: true, cert: true, chain: true, dns: true, uri: true },
    tracing: {},
    http2_protocol_options: { allow_connect: true, connection_keepalive: { interval: '3s', timeout: '2s' } },
    http_protocol_options: { accept_http_10: true, allow_absolute_url: false, allow_custom_methods: true, enable_trailers: true },
    common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST', max_headers_count: 7 },
    generate_request_id: false,
  });
  assert.equal(options.stripPort, 'any');
  assert.deepEqual(options.upgrades, new Map(Object.entries({ websocket: true, connect: false })));
  assert.deepEqual(options.clientCertFields, { subject: true, cert: true, chain: true, dns: true, uri: true });
  assert.deepEqual([options.decorates, options.tracing], [true, undefined]);
  assert.deepEqual(options.keepAlive, { intervalMs: 3000, timeoutMs: 2000 });
  assert.deepEqual([options.allowConnect, options.acceptHttp10, options.customMethods, options.trailers], [true, true, true, true]);
  assert.deepEqual([options.allowAbsoluteUrl, options.generateRequestId], [false, false]);
  assert.deepEqual([options.underscores, options.maxHeaders], ['reject', 7]);
  assert.equal(manager({ strip_any_host_port: false, strip_matching_host_port: true }).stripPort, 'matching');
  assert.equal(manager({ strip_any_host_port: false }).stripPort, 'none');
  const keepAlive = (interval: string, timeout: string) =>
    manager({ http2_protocol_options: { connection_keepalive: { interval, timeout } } }).keepAlive;
  assert.equal(keepAlive('0s', '2s'), undefined);
  assert.equal(keepAlive('2s', '0s'), undefined);
});

const extension = { name: 'x', typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct', value: {} } };

const REFUSED: Readonly<Record<string, JsonObject>> = {
  'codec_type: HTTP3': { codec_type: 'HTTP3' },
  original_ip_detection_extensions: { original_ip_detection_extensions: [extension] },
  early_header_mutation_extensions: { early_header_mutation_extensions: [extension] },
  'local_reply_config, mappers': { local_reply_config: { mappers: [{ status_code: 404 }] } },
  'local_reply_config, body_format': { local_reply_config: { body_format: { text_format: 'x' } } },
  proxy_status_config: { proxy_status_config: {} },
  path_normalization_options: { path_normalization_options: {} },
  typed_header_validation_config: { typed_header_validation_config: extension },
  'upgrade_configs.filters': { upgrade_configs: [{ upgrade_type: 'websocket' }, { upgrade_type: 'x', filters: [{ name: 'router' }] }] },
  'internal_address_config.unix_sockets': { internal_address_config: { unix_sockets: true } },
};

for (const [field, json] of Object.entries(REFUSED)) {
  test(`refused, not ignored: ${field}`, () => {
    assert.throws(() => manager(json), {
      code: 'xds-unsupported',
      message: new RegExp(`"test": ${field.split(', ')[0]} is not supported`),
    });
  });
}

test('a connection manager without routes is refused', () => {
  assert.throws(() => readOptions(fromJson(HttpConnectionManagerSchema, { stat_prefix: 'test' })), { code: 'xds-invalid' });
  manager({ local_reply_config: {}, internal_address_config: {} });
});
