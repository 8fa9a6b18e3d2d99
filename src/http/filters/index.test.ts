import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson } from '@bufbuild/protobuf';
import { HttpConnectionManagerSchema } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { typeRegistry } from '../../xds/type-registry.ts';
import { readOptions } from '../options.ts';
import { compileFilters } from './index.ts';

const ROUTER = {
  name: 'envoy.filters.http.router',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
};

function filtersOf(...http_filters: object[]): readonly string[] {
  const json = { stat_prefix: 'test', route_config: { name: 'own' }, http_filters: [...http_filters, ROUTER] };
  const config = fromJson(HttpConnectionManagerSchema, json as never, { registry: typeRegistry });
  return compileFilters(config, readOptions(config)).map(({ name }) => name);
}

const typedStruct = (name: string, type_url: string) => ({
  name,
  typed_config: { '@type': 'type.googleapis.com/udpa.type.v1.TypedStruct', type_url: `type.googleapis.com/${type_url}`, value: {} },
});

test('filters that only observe are passed over', () => {
  assert.deepEqual(filtersOf(typedStruct('istio.metadata_exchange', 'io.istio.http.peer_metadata.Config')), [ROUTER.name]);
});

test('what is behind a TypedStruct is done as if it were written itself', () => {
  assert.deepEqual(filtersOf(typedStruct('cors', 'envoy.extensions.filters.http.cors.v3.Cors')), ['cors', ROUTER.name]);
});

test('what is not known is refused by name and type', () => {
  assert.throws(() => filtersOf(typedStruct('wasm', 'envoy.extensions.filters.http.wasm.v3.Wasm')), {
    code: 'xds-unsupported',
    message: 'HTTP connection manager "test", filter "wasm": envoy.extensions.filters.http.wasm.v3.Wasm is not supported',
  });
  assert.throws(() => filtersOf({ name: 'extension', config_discovery: { config_source: { ads: {} } } }), {
    code: 'xds-unsupported',
    message: /filter "extension": config_discovery \(ECDS\) is not supported/,
  });
});
