/** Which calls a stock Envoy's entries are taken to be of: a sidecar's client chooses its requests' ids. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { test } from 'node:test';
import { fromBinary, fromJson, type JsonObject, toBinary, toJson } from '@bufbuild/protobuf';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { tellingListener } from '../../src/engine/envoy/flows/listeners.ts';
import { accessLogService } from '../../src/engine/envoy/flows/service.ts';
import { EnvoyFlows } from '../../src/engine/envoy/flows/source.ts';
import type { ProxyFlow } from '../../src/flows/flow.ts';
import { startGrpcServer } from '../../src/lib/grpc/server.ts';
import { CONTROL_PLANE_CLUSTER } from '../../src/xds/envoy-bootstrap.ts';
import { ListenerSchema } from '../../src/xds/gen/envoy/config/listener/v3/listener_pb.js';
import { typeRegistry } from '../../src/xds/type-registry.ts';
import { startEnvoy } from './envoy-process.ts';

const envoy = findEnvoy();
const skip = envoy === undefined && 'no Envoy here: set ENVOY';
const TYPE = 'type.googleapis.com/envoy.extensions';

/** As a sidecar's: it leaves the id of a request as it came. */
const LISTENER: JsonObject = {
  name: 'http',
  address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
  filterChains: [
    {
      filters: [
        {
          name: 'http',
          typedConfig: {
            '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
            statPrefix: 'http',
            httpFilters: [{ name: 'router', typedConfig: { '@type': `${TYPE}.filters.http.router.v3.Router` } }],
            routeConfig: {
              virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, directResponse: { status: 204 } }] }],
            },
          },
        },
      ],
    },
  ],
};

function telling(listener: JsonObject): JsonObject {
  const registry = { registry: typeRegistry };
  const bytes = tellingListener(toBinary(ListenerSchema, fromJson(ListenerSchema, listener, registry)));
  return toJson(ListenerSchema, fromBinary(ListenerSchema, bytes), registry) as JsonObject;
}

function clusterAt(portValue: number): JsonObject {
  const http2 = { '@type': `${TYPE}.upstreams.http.v3.HttpProtocolOptions`, explicitHttpConfig: { http2ProtocolOptions: {} } };
  return {
    name: CONTROL_PLANE_CLUSTER,
    loadAssignment: {
      clusterName: CONTROL_PLANE_CLUSTER,
      endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue } } } }] }],
    },
    typedExtensionProtocolOptions: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': http2 },
  };
}

test('calls to which a client gives one request id stay calls of their own', { skip, timeout: 60_000 }, async (t) => {
  const ends: ProxyFlow[] = [];
  let heard = () => {};
  const flows = new EnvoyFlows({
    workload: 'default/local',
    nameOf: () => undefined,
    date: Date.now,
    tellAll: async () => {},
    counted: async () => ({ written: 0, dropped: 0 }),
  });
  t.after(() => flows.close());
  const take = (flow: ProxyFlow) => {
    if (flow.kind === 'end') ends.push(flow);
    heard();
  };
  await flows.watchFlows(take, () => {});
  const server = await startGrpcServer({
    listen: { address: '127.0.0.1', port: 0 },
    what: 'cannot serve',
    name: 'test',
    methods: accessLogService(flows),
  });
  t.after(() => server.close(0));
  const running = await startEnvoy(envoy!, telling(LISTENER), [clusterAt(server.port)]);
  t.after(() => running.stop());
  // The last is no UTF-8.
  const ids = ['00000001-1111-4111-8111-111111111111', 'x'.repeat(20_000), '\u00ff\u00c3('];
  for (const id of ids.flatMap((one) => [one, one])) {
    const call = request({ port: running.port, host: '127.0.0.1', headers: { 'x-request-id': id }, agent: false }).end();
    const [answer] = await once(call, 'response');
    await once(answer.resume(), 'end');
  }
  while (ends.length < 6) await new Promise<void>((resolve) => (heard = resolve));
  assert.equal(new Set(ends.map(({ id }) => id)).size, 6);
  assert.ok(ends.every(({ id }) => id.length < 100));
});
