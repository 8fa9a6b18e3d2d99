/** What a stock Envoy and the embedded data plane answer, log and count for the same requests on the same configuration. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import type { StatsSnapshot } from '../../src/proxy/stats/index.ts';
import { dataPlane } from './dataplane/support.ts';
import { type RunningEnvoy, startEnvoy } from './envoy-process.ts';

const TYPE = 'type.googleapis.com/envoy.extensions';

/** Operators whose values do not depend on time or on the side's own ports. */
const TEXT = [
  '%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG%',
  '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% %BYTES_RECEIVED% %BYTES_SENT% %REQ(USER-AGENT)% %REQ(:AUTHORITY)% %REQ(X-A?X-B):3%',
  '%UPSTREAM_CLUSTER% %REQUESTED_SERVER_NAME% %ROUTE_NAME% %RESP(X-UP)% %RESP(:STATUS)% %TRAILER(X-T)% %GRPC_STATUS% %FILTER_CHAIN_NAME%',
  '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_TLS_VERSION% %UPSTREAM_REQUEST_ATTEMPT_COUNT%',
  '%REQ(X-NONE)% %START_TIME(%Y)% %DYNAMIC_METADATA(a:b)% %METADATA(ROUTE:istio:config)% %QUERY_PARAM(k)% %PATH(NQ)%',
].join('|');

const JSON_FORMAT: JsonObject = {
  code: '%RESPONSE_CODE%',
  sent: '%BYTES_SENT%',
  flags: '%RESPONSE_FLAGS%',
  none: '%REQ(X-NONE)%',
  mixed: '%REQ(:METHOD)%-%REQ(X-NONE)%',
  attempts: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
  quoted: '%REQ(X-A)%',
  nested: { cluster: '%UPSTREAM_CLUSTER%', list: ['%PROTOCOL%', 1, true, null], metadata: '%METADATA(ROUTE:istio)%' },
};

const log = (path: string, format: JsonObject, filter?: JsonObject): JsonObject => ({
  name: 'file',
  ...(filter && { filter }),
  typedConfig: { '@type': `${TYPE}.access_loggers.file.v3.FileAccessLog`, path, logFormat: format },
});

function listener(folder: string): JsonObject {
  return {
    name: 'l',
    address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
    filterChains: [
      {
        name: 'chain',
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typedConfig: {
              '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
              statPrefix: 'x',
              generateRequestId: false,
              httpFilters: [{ name: 'envoy.filters.http.router', typedConfig: { '@type': `${TYPE}.filters.http.router.v3.Router` } }],
              routeConfig: {
                name: 'rc',
                validateClusters: false,
                virtualHosts: [
                  {
                    name: 'v',
                    domains: ['a.example'],
                    routes: [
                      { name: 'direct', match: { path: '/direct' }, directResponse: { status: 429, body: { inlineString: 'later' } } },
                      { name: 'redirect', match: { path: '/redirect' }, redirect: { pathRedirect: '/new' } },
                      { name: 'nc', match: { path: '/nc' }, route: { cluster: 'nowhere' } },
                      { name: 'uh', match: { path: '/uh' }, route: { cluster: 'empty' } },
                      { name: 'uf', match: { path: '/uf' }, route: { cluster: 'refusing' } },
                      {
                        name: 'retry',
                        match: { path: '/retry' },
                        route: {
                          cluster: 'refusing',
                          retryPolicy: { retryOn: 'connect-failure', numRetries: 2, retryBackOff: { baseInterval: '0.001s' } },
                        },
                      },
                      { name: 'ut', match: { path: '/hang' }, route: { cluster: 'up', timeout: '0.2s' } },
                      { name: 'uc', match: { path: '/cut' }, route: { cluster: 'up' } },
                      { name: 'rewritten', match: { prefix: '/old' }, route: { cluster: 'up', prefixRewrite: '/new' } },
                      {
                        name: 'up',
                        match: { prefix: '/up' },
                        metadata: { filterMetadata: { istio: { config: '/x' } } },
                        route: { cluster: 'up' },
                      },
                    ],
                  },
                ],
              },
              accessLog: [
                log(join(folder, 'text.log'), { textFormatSource: { inlineString: `${TEXT}\n` } }),
                log(join(folder, 'json.log'), { jsonFormat: JSON_FORMAT, jsonFormatOptions: { sortProperties: true } }),
                log(join(folder, 'omit.log'), {
                  jsonFormat: JSON_FORMAT,
                  omitEmptyValues: true,
                  jsonFormatOptions: { sortProperties: true },
                }),
                log(
                  join(folder, 'errors.log'),
                  { textFormatSource: { inlineString: '%REQ(:PATH)%\n' } },
                  {
                    orFilter: {
                      filters: [
                        { statusCodeFilter: { comparison: { op: 'GE', value: { defaultValue: 504, runtimeKey: 'k' } } } },
                        { responseFlagFilter: { flags: ['UF', 'NC'] } },
                      ],
                    },
                  },
                ),
              ],
            },
          },
        ],
      },
    ],
  };
}

function clusters(port: number): JsonObject[] {
  const cluster = (name: string, ports: number[]): JsonObject => ({
    name,
    type: 'STATIC',
    connectTimeout: '1s',
    loadAssignment: {
      clusterName: name,
      endpoints: [
        { lbEndpoints: ports.map((portValue) => ({ endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue } } } })) },
      ],
    },
  });
  // Port 1 of the loopback has no listener.
  return [cluster('up', [port]), cluster('empty', []), cluster('refusing', [1])];
}

/** Head and body of each request, and how many bytes of body the answer has beside its content-length (HEAD: none). */
const REQUESTS: readonly string[] = [
  'GET /up?k=v HTTP/1.1\r\nhost: a.example\r\nuser-agent: test/1\r\nx-b: abcdef\r\nconnection: close\r\n\r\n',
  'HEAD /up HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n',
  'POST /up HTTP/1.1\r\nhost: a.example\r\nx-a: say "hi" \\ back\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello',
  'POST /up HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  'GET /old/x?q=1 HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n',
  'GET /direct HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n',
  'GET /redirect?q HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n',
  'GET /none HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n',
  'GET /up HTTP/1.1\r\nhost: other.example\r\nconnection: close\r\n\r\n',
  'GET /nc HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n',
  'GET /uh HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n',
  'GET /uf HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n',
  'GET /retry HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n',
  'GET /hang HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n',
  'GET /cut HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n',
];

const COUNTERS =
  /^(?:http\.x\.(?:downstream_rq_(?:[1-5]xx|completed|total|http1_total)|downstream_cx_total|no_route|no_cluster|rq_total|rq_direct_response)|cluster\.[a-z]+\.(?:upstream_rq_(?:[1-5]xx|\d{3}|completed|retry|retry_limit_exceeded|timeout)|upstream_cx_connect_fail|membership_(?:total|healthy)))$/;

/** Those that were ever counted, by name. */
function ourCounters({ counters, gauges }: StatsSnapshot): [string, number][] {
  return [...counters, ...gauges]
    .flatMap(({ name, value }): [string, number][] => (COUNTERS.test(name) && value > 0 ? [[name, value]] : []))
    .sort();
}

async function theirCounters(admin: string): Promise<[string, number][]> {
  const { stats } = (await (await fetch(`http://${admin}/stats?format=json&usedonly`)).json()) as {
    stats: { name?: string; value: number }[];
  };
  return stats
    .flatMap(({ name, value }): [string, number][] => (name !== undefined && COUNTERS.test(name) && value > 0 ? [[name, value]] : []))
    .sort();
}

/** Sends a request, reads to the end, and gives the status line and the body. */
async function perform(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(request);
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  await once(socket, 'close');
  const [head = '', body = ''] = text.split('\r\n\r\n', 2);
  return `${head.split('\r\n')[0]} ${body}`;
}

const envoy = findEnvoy();

describe('answers, access logs and counters beside Envoy', {
  skip: envoy ? false : 'no Envoy binary: node scripts/fetch-envoy.ts fetches it',
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-logs-'));
  let upstream: Server;
  let running: RunningEnvoy | undefined;
  before(async () => {
    upstream = createServer((request, response) => {
      if (request.url === '/hang') return;
      if (request.url === '/cut') {
        request.socket.destroy();
        return;
      }
      request.resume().on('end', () => response.writeHead(200, { 'x-up': 'yes', date: 'x' }).end(`got ${request.url}`));
    }).listen(0, '127.0.0.1');
    await once(upstream, 'listening');
  });
  after(async () => {
    await running?.stop();
    upstream.closeAllConnections();
    upstream.close();
    rmSync(folder, { recursive: true });
  });

  test('the same', async (t) => {
    const { port } = upstream.address() as AddressInfo;
    const [theirFolder, ourFolder] = [mkdtempSync(join(folder, 'envoy-')), mkdtempSync(join(folder, 'ours-'))];
    running = await startEnvoy(envoy!, listener(theirFolder), clusters(port));
    const ours = await dataPlane(t);
    assert.deepEqual((await ours.set({ listeners: [listener(ourFolder)], clusters: clusters(port) })).rejected, []);
    const theirAnswers: string[] = [];
    const ourAnswers: string[] = [];
    for (const request of REQUESTS) {
      theirAnswers.push(await perform(running.port, request));
      ourAnswers.push(await perform(ours.port('l'), request));
    }
    assert.deepEqual(ourAnswers, theirAnswers);
    assert.deepEqual(ourCounters(ours.plane.stats()), await theirCounters(running.admin));
    // The end of both processes writes what their logs still hold.
    await running.stop();
    running = undefined;
    ours.plane.close();
    for (const file of ['text.log', 'json.log', 'omit.log', 'errors.log']) {
      const read = (from: string) => readFileSync(join(from, file), 'utf8').trimEnd().split('\n');
      const parse = (lines: string[]) =>
        file.startsWith('text') || file.startsWith('err') ? lines : lines.map((line) => JSON.parse(line));
      assert.deepEqual(parse(read(ourFolder)), parse(read(theirFolder)), file);
    }
  });
});
