import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson } from '@bufbuild/protobuf';
import { RBACSchema } from '../../xds/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js';
import { HttpConnectionManagerSchema } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { typeRegistry } from '../../xds/type-registry.ts';
import { Head } from '../head.ts';
import { HeaderMap } from '../header-map.ts';
import { readOptions } from '../options.ts';
import type { JudgedRequest } from './filter.ts';
import { compileFilters } from './index.ts';

const ROUTER = {
  name: 'envoy.filters.http.router',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
};

function filtersOf(http_filters: readonly object[], router: object = ROUTER): readonly string[] {
  const json = { stat_prefix: 'test', route_config: { name: 'own' }, http_filters: [...http_filters, router] };
  const config = fromJson(HttpConnectionManagerSchema, json as never, { registry: typeRegistry });
  return compileFilters(config, readOptions(config)).map(({ name }) => name);
}

const typedStruct = (name: string, type_url: string) => ({
  name,
  typed_config: { '@type': 'type.googleapis.com/udpa.type.v1.TypedStruct', type_url: `type.googleapis.com/${type_url}`, value: {} },
});

test('filters that only observe are passed over', () => {
  assert.deepEqual(filtersOf([typedStruct('istio.metadata_exchange', 'io.istio.http.peer_metadata.Config')]), [ROUTER.name]);
});

test('what is behind a TypedStruct is done as if it were written itself', () => {
  assert.deepEqual(filtersOf([typedStruct('cors', 'envoy.extensions.filters.http.cors.v3.Cors')]), ['cors', ROUTER.name]);
});

test('a filter that is disabled is there for the routes that enable it', () => {
  const rules = { action: 'ALLOW', policies: {} };
  const json = {
    stat_prefix: 'test',
    route_config: { name: 'own' },
    http_filters: [
      { name: 'rbac', disabled: true, typed_config: { '@type': `type.googleapis.com/${RBACSchema.typeName}`, rules } },
      ROUTER,
    ],
  };
  const config = fromJson(HttpConnectionManagerSchema, json as never, { registry: typeRegistry });
  const [rbac] = compileFilters(config, readOptions(config));
  const end = { ip: '127.0.0.1', port: 1 };
  const client = { directRemoteAddress: end, remoteAddress: end, localAddress: end, serverName: '', tls: undefined };
  const head = new Head('HTTP/1.1', 'GET', 'a.test', '/', 'http', new HeaderMap(), 0, '', false, 0, undefined);
  const statusWhere = (enables: boolean | undefined) => {
    const route = { enablesFilter: () => enables, filterConfig: () => undefined };
    return rbac!.judge({ head, client, route, now: 0, metadata: undefined } as unknown as JudgedRequest).answer?.reply.status;
  };
  assert.deepEqual([undefined, false, true].map(statusWhere), [undefined, undefined, 403]);
});

test('a router that has filters or checks of its own is refused: they may refuse requests', () => {
  const routed = (more: object) => filtersOf([], { ...ROUTER, typed_config: { ...ROUTER.typed_config, ...more } });
  assert.throws(() => routed({ upstream_http_filters: [typedStruct('rbac', RBACSchema.typeName)] }), {
    code: 'xds-unsupported',
    message: /upstream_http_filters: not supported/,
  });
  assert.throws(() => routed({ strict_check_headers: ['x-envoy-max-retries'] }), { message: /strict_check_headers: not supported/ });
});

test('what is not known is refused by name and type', () => {
  assert.throws(() => filtersOf([typedStruct('wasm', 'envoy.extensions.filters.http.wasm.v3.Wasm')]), {
    code: 'xds-unsupported',
    message: 'HTTP connection manager "test", filter "wasm": envoy.extensions.filters.http.wasm.v3.Wasm is not supported',
  });
  assert.throws(() => filtersOf([{ name: 'extension', config_discovery: { config_source: { ads: {} } } }]), {
    code: 'xds-unsupported',
    message: /filter "extension": config_discovery \(ECDS\) is not supported/,
  });
});
