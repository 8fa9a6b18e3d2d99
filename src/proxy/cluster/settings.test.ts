import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { ClusterSchema } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
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
