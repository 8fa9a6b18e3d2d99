import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { HttpConnectionManagerSchema } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { FilterConfigSchema, FilterConfig_Protocol as Protocol } from '../xds/gen/istio/alpn_pb.js';
import { keepsOwnAlpn, upstreamAlpnOf } from './upstream-alpn.ts';

const filter = create(FilterConfigSchema, {
  alpnOverride: [
    { upstreamProtocol: Protocol.HTTP11, alpnOverride: ['istio-http/1.1', 'istio'] },
    { upstreamProtocol: Protocol.HTTP2, alpnOverride: ['istio-h2', 'h2'] },
  ],
});
const manager = (disabled: boolean) =>
  create(HttpConnectionManagerSchema, {
    httpFilters: [{ name: 'istio.alpn', disabled, configType: { case: 'typedConfig', value: anyPack(FilterConfigSchema, filter) } }],
  });

test('a filter says what is offered upstream, unless it is switched off', () => {
  assert.deepEqual(upstreamAlpnOf(manager(false)), { http1: ['istio-http/1.1', 'istio'], http2: ['istio-h2', 'h2'] });
  assert.equal(upstreamAlpnOf(manager(true)), undefined);
  assert.equal(upstreamAlpnOf(create(HttpConnectionManagerSchema)), undefined);
});

test('a cluster may keep its own', () => {
  const of = (value: string) => create(ClusterSchema, { metadata: { filterMetadata: { istio: { alpn_override: value } } } });
  assert.deepEqual([keepsOwnAlpn(of('false')), keepsOwnAlpn(of('true')), keepsOwnAlpn(create(ClusterSchema))], [true, false, false]);
});
