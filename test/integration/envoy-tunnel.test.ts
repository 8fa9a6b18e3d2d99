/** What a stock Envoy and the embedded data plane make of a forward proxy's answers, on the same configuration. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { dataPlane } from './dataplane/support.ts';
import { bootEnvoy, firstPort, startEnvoy } from './envoy-process.ts';
import { ANSWERS, forwardProxy } from './forward-proxy.ts';

const TYPE = 'type.googleapis.com/envoy.extensions';

/** What one connection left behind. */
interface Outcome {
  /** What the client read. */
  readonly read: string;
  readonly log: string;
  /** Heads that the proxy got, and bytes that came where none should. */
  readonly heads: readonly string[];
  readonly early: readonly string[];
}

const FORMAT =
  '%RESPONSE_CODE% %RESPONSE_FLAGS% %CONNECTION_TERMINATION_DETAILS% %UPSTREAM_TRANSPORT_FAILURE_REASON% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER% %RESPONSE_CODE_DETAILS% %UPSTREAM_REQUEST_ATTEMPT_COUNT%';

function listener(log: string, hostname: string, more: JsonObject): JsonObject {
  return {
    name: 'l',
    address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
    filterChains: [
      {
        name: 'chain',
        filters: [
          {
            name: 'envoy.filters.network.tcp_proxy',
            typedConfig: {
              '@type': `${TYPE}.filters.network.tcp_proxy.v3.TcpProxy`,
              statPrefix: 'x',
              cluster: 'proxy',
              tunnelingConfig: { hostname, ...more },
              maxConnectAttempts: 2,
              accessLog: [
                {
                  name: 'file',
                  typedConfig: {
                    '@type': `${TYPE}.access_loggers.file.v3.FileAccessLog`,
                    path: log,
                    logFormat: { textFormatSource: { inlineString: `${FORMAT}\n` } },
                  },
                },
              ],
            },
          },
        ],
      },
    ],
  };
}

const cluster = (port: number): JsonObject => ({
  name: 'proxy',
  type: 'STATIC',
  connectTimeout: '1s',
  loadAssignment: {
    clusterName: 'proxy',
    endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue: port } } } }] }],
  },
});

/** Sends `ping`, and reads to the end. Whether that is a reset depends on what the proxy had read by then. */
async function perform(port: number): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const { promise, resolve } = Promise.withResolvers<void>();
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => undefined);
  socket.on('end', () => socket.end()).on('close', () => resolve());
  socket.write('ping');
  await promise;
  return text;
}

/** Requests that reach their host by way of an internal listener; the credentials are the environment's. */
function beyond(log: string): { listeners: JsonObject[]; cluster: JsonObject } {
  const manager = {
    name: 'http',
    typedConfig: {
      '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      statPrefix: 'h',
      routeConfig: { virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'beyond' } }] }] },
      httpFilters: [{ name: 'router', typedConfig: { '@type': `${TYPE}.filters.http.router.v3.Router` } }],
    },
  };
  const tunnel = listener(log, '%DYNAMIC_METADATA(tunnel:destination)%', {
    headersToAdd: [{ header: { key: 'proxy-authorization', value: '%ENVIRONMENT(SALLYPORT_PROXY_TEST)%' } }],
  });
  return {
    listeners: [
      { name: 'l', address: { socketAddress: { address: '127.0.0.1', portValue: 0 } }, filterChains: [{ filters: [manager] }] },
      { name: 'way', internalListener: {}, filterChains: (tunnel.filterChains as JsonObject[]).map(withoutLog) },
    ],
    cluster: {
      name: 'beyond',
      type: 'STATIC',
      transportSocket: {
        name: 'internal',
        typedConfig: {
          '@type': `${TYPE}.transport_sockets.internal_upstream.v3.InternalUpstreamTransport`,
          passthroughMetadata: [{ kind: { host: {} }, name: 'tunnel' }],
          transportSocket: { name: 'raw', typedConfig: { '@type': `${TYPE}.transport_sockets.raw_buffer.v3.RawBuffer` } },
        },
      },
      loadAssignment: {
        clusterName: 'beyond',
        endpoints: [
          {
            lbEndpoints: [
              {
                endpoint: { address: { envoyInternalAddress: { serverListenerName: 'way', endpointId: 'up.example:80' } } },
                metadata: { filterMetadata: { tunnel: { destination: 'up.example:80' } } },
              },
            ],
          },
        ],
      },
    },
  };
}

function withoutLog({ filters }: JsonObject): JsonObject {
  return {
    filters: (filters as JsonObject[]).map((filter) => ({
      ...filter,
      typedConfig: { ...(filter.typedConfig as JsonObject), accessLog: [] },
    })),
  };
}

const NOBODY = 'a proxy that is not there';
const envoy = findEnvoy();

describe('tunnels through a forward proxy beside Envoy', {
  skip: envoy ? false : 'no Envoy binary: node scripts/fetch-envoy.ts fetches it',
}, () => {
  const CASES: readonly (readonly [name: string, hostname: string, more?: JsonObject])[] = [
    ['a host that is reached', 'up.example:443'],
    [NOBODY, 'up.example:443'],
    ...Object.keys(ANSWERS).map((label) => [label, `${label}.example:443`] as const),
    [
      'fields of its own',
      'up.example:443',
      {
        headersToAdd: [
          { header: { key: 'Proxy-Authorization', value: 'Basic eDp5' } },
          { header: { key: 'x-a', value: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%' } },
        ],
      },
    ],
  ];
  for (const [name, hostname, more = {}] of CASES) {
    // Port 1 of the loopback has no listener.
    const portOf = (proxyPort: number) => (name === NOBODY ? 1 : proxyPort);
    test(name, async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'sallyport-tunnel-'));
      t.after(() => rmSync(folder, { recursive: true }));
      const upstream = createServer((socket) => socket.on('error', () => undefined).once('data', (data) => socket.end(`pong ${data}`)));
      upstream.listen(0, '127.0.0.1');
      await once(upstream, 'listening');
      t.after(() => upstream.close());
      const outcome = async (run: (proxyPort: number, log: string) => Promise<string>): Promise<Outcome> => {
        const proxy = await forwardProxy((upstream.address() as AddressInfo).port);
        t.after(() => proxy.close());
        const log = join(mkdtempSync(join(folder, 'log-')), 'log');
        const read = await run(proxy.port, log);
        // Where Envoy gives no reason, ours does.
        return {
          read,
          log: readFileSync(log, 'utf8')
            .trim()
            .replace(/ tunnel:\S+/, ' -'),
          heads: proxy.heads,
          early: proxy.early,
        };
      };
      const theirs = await outcome(async (proxyPort, log) => {
        const running = await startEnvoy(envoy!, listener(log, hostname, more), [cluster(portOf(proxyPort))]);
        try {
          return await perform(running.port);
        } finally {
          await running.stop();
        }
      });
      const ours = await outcome(async (proxyPort, log) => {
        const side = await dataPlane(t);
        assert.deepEqual(
          (await side.set({ listeners: [listener(log, hostname, more)], clusters: [cluster(portOf(proxyPort))] })).rejected,
          [],
        );
        const read = await perform(side.port('l'));
        side.plane.close();
        return read;
      });
      assert.deepEqual(ours, theirs);
    });
  }

  test('requests by way of an internal listener', async (t) => {
    const web = createHttpServer((request, response) => response.end(`got ${request.url}`)).listen(0, '127.0.0.1');
    await once(web, 'listening');
    t.after(() => web.close());
    const { listeners, cluster: way } = beyond('/dev/null');
    const environment = { SALLYPORT_PROXY_TEST: 'Basic eDp5' };
    const asked = async (run: (clusters: JsonObject[]) => Promise<{ port: number; stop: () => unknown }>) => {
      const proxy = await forwardProxy((web.address() as AddressInfo).port);
      t.after(() => proxy.close());
      const { port, stop } = await run([way, cluster(proxy.port)]);
      const answer = await (await fetch(`http://127.0.0.1:${port}/x`)).text();
      await stop();
      return { answer, heads: proxy.heads };
    };
    const theirs = await asked(async (clusters) => {
      const internal = { name: 'internal', typedConfig: { '@type': `${TYPE}.bootstrap.internal_listener.v3.InternalListener` } };
      const running = await bootEnvoy(envoy!, { bootstrapExtensions: [internal], staticResources: { listeners, clusters } }, environment);
      return { port: await firstPort(running.admin), stop: running.stop };
    });
    const ours = await asked(async (clusters) => {
      const side = await dataPlane(t, { environment });
      assert.deepEqual((await side.set({ listeners, clusters })).rejected, []);
      return { port: side.port('l'), stop: () => side.plane.close() };
    });
    assert.deepEqual(ours, theirs);
    assert.deepEqual(ours.heads, ['CONNECT up.example:80 HTTP/1.1\r\nhost: up.example:80\r\nproxy-authorization: Basic eDp5']);
  });
});
