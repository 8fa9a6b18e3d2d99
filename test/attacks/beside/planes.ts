/** The same listener and cluster on our data plane and on a stock Envoy, each with a server of its own behind it. */
import type { TestContext } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { cluster, dataPlane, listener, typed } from '../../integration/dataplane/support.ts';
import { startEnvoy } from '../../integration/envoy-process.ts';

export interface Port {
  readonly ours: number;
  readonly envoy: number;
}

const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** As Istio sets a gateway: nothing is rewritten that would hide what came. */
function manager(codecType: string): JsonObject {
  return typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    statPrefix: 'h',
    codecType,
    routeConfig: {
      name: 'r',
      virtualHosts: [
        {
          name: 'a',
          domains: ['www.allowed.example', 'www.allowed.example:80'],
          routes: [{ match: { prefix: '/public' }, route: { cluster: 'c' } }],
        },
      ],
    },
    upgradeConfigs: [{ upgradeType: 'websocket' }],
    httpFilters: [{ name: 'router', typedConfig: typed('envoy.extensions.filters.http.router.v3.Router') }],
  });
}

/** `upstream`: ports of the servers behind ours and behind Envoy. */
export async function planes(
  t: TestContext,
  envoy: string,
  upstream: Port,
  codecType = 'HTTP1',
  transportSocket?: JsonObject,
): Promise<Port> {
  const chain: JsonObject = {
    filters: [{ name: 'http', typedConfig: manager(codecType) }],
    ...(transportSocket ? { transportSocket } : {}),
  };
  // One request a connection, so that what one case leaves behind is not the next one's.
  const of = (port: number) =>
    cluster('c', [port], {
      typedExtensionProtocolOptions: {
        [OPTIONS]: typed(OPTIONS, {
          explicitHttpConfig: { httpProtocolOptions: {} },
          commonHttpProtocolOptions: { maxRequestsPerConnection: 1 },
        }),
      },
    });
  const plane = await dataPlane(t);
  const { rejected } = await plane.set({ listeners: [listener('http', [chain])], clusters: [of(upstream.ours)] });
  if (rejected.length > 0) throw new Error(rejected.map(({ message }) => message).join('\n'));
  const running = await startEnvoy(envoy, listener('http', [chain]), [of(upstream.envoy)]);
  t.after(() => running.stop());
  return { ours: plane.port('http'), envoy: running.port };
}
