/** Entries of the same calls, as a stock Envoy and the embedded data plane send them to a service of access logs, by Telemetry and MeshConfig. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer, request } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { fromBinary, type JsonObject, type JsonValue, toJson } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type ServerReadableStream } from '@grpc/grpc-js';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { snapshotFromText } from '../../src/config/memory.ts';
import { buildRegistry } from '../../src/registry/index.ts';
import { accessLogs } from '../../src/translate/access-log.ts';
import { startTranslation } from '../../src/translate/context.ts';
import { AccessLogSchema } from '../../src/xds/gen/envoy/config/accesslog/v3/accesslog_pb.js';
import { StreamAccessLogsMessageSchema } from '../../src/xds/gen/envoy/service/accesslog/v3/als_pb.js';
import { nodeJson } from '../../src/xds/node.ts';
import { typeRegistry } from '../../src/xds/type-registry.ts';
import { meshConfigOf } from '../support/mesh.ts';
import { SIDECAR } from '../support/translated.ts';
import { dataPlane } from './dataplane/support.ts';
import { startEnvoy } from './envoy-process.ts';

const envoy = findEnvoy();
const skip = envoy === undefined && 'no Envoy here: set ENVOY';
const TYPE = 'type.googleapis.com/envoy.extensions';
const ALS = 'outbound|9000||als.observability.svc.cluster.local';
const FILES = `
apiVersion: v1
kind: Service
metadata: { name: als, namespace: observability }
spec: { ports: [{ name: grpc, port: 9000 }] }
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: mesh, namespace: istio-system }
spec: { accessLogging: [{ providers: [{ name: http }] }, { providers: [{ name: tcp }] }] }
`;
const PROVIDERS = [
  {
    name: 'http',
    envoyHttpAls: {
      service: 'als.observability.svc.cluster.local',
      port: 9000,
      logName: 'requests',
      additionalRequestHeadersToLog: ['X-Tenant'],
      additionalResponseHeadersToLog: ['x-version'],
    },
  },
  { name: 'tcp', envoyTcpAls: { service: 'als.observability.svc.cluster.local', port: 9000 } },
];

interface Heard {
  readonly port: number;
  /** The next so many entries, by name of the log, as JSON. */
  entries(count: number): Promise<readonly Entry[]>;
}

interface Entry {
  readonly log: string;
  readonly entry: JsonObject;
}

/** A service of access logs that reads each stream to its end. */
async function logService(t: TestContext): Promise<Heard> {
  const entries: Entry[] = [];
  let heard = () => {};
  const asItIs = (bytes: Buffer) => bytes;
  const method = {
    path: '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs',
    requestStream: true,
    responseStream: false,
    requestSerialize: asItIs,
    requestDeserialize: asItIs,
    responseSerialize: asItIs,
    responseDeserialize: asItIs,
  } as const;
  const server = new Server();
  server.addService(
    { StreamAccessLogs: method },
    {
      StreamAccessLogs: (call: ServerReadableStream<Buffer, Buffer>, done: (error: null, answer: Buffer) => void) => {
        let log = '';
        call.on('data', (bytes: Buffer) => {
          const { identifier, logEntries } = fromBinary(StreamAccessLogsMessageSchema, bytes);
          log = identifier?.logName ?? log;
          const json = toJson(StreamAccessLogsMessageSchema, fromBinary(StreamAccessLogsMessageSchema, bytes), { registry: typeRegistry });
          const logs = (json as Record<string, { logEntry: JsonObject[] }>)[logEntries.case!]!;
          entries.push(...logs.logEntry.map((entry) => ({ log, entry })));
          heard();
        });
        call.on('end', () => done(null, Buffer.alloc(0)));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  t.after(() => server.forceShutdown());
  return {
    port,
    async entries(count) {
      while (entries.length < count) await new Promise<void>((resolve) => (heard = resolve));
      return entries.splice(0);
    },
  };
}

function listeners(): JsonObject[] {
  const config = meshConfigOf({ extensionProviders: PROVIDERS });
  const snapshot = snapshotFromText(FILES);
  const { context, findings } = startTranslation(SIDECAR, { snapshot, config, registry: buildRegistry(snapshot, config).registry });
  assert.deepEqual([...findings.values()], []);
  const logs = (kind: 'http' | 'tcp') =>
    accessLogs(context.mesh.config, 'CLIENT', kind).map((log) => toJson(AccessLogSchema, log, { registry: typeRegistry }));
  const listener = (name: string, type: string, settings: JsonObject): JsonObject => ({
    name,
    address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
    filterChains: [
      { name, filters: [{ name: type, typedConfig: { '@type': `${TYPE}.filters.network.${type}`, statPrefix: name, ...settings } }] },
    ],
  });
  const route = (prefix: string, cluster: string) => ({ name: prefix, match: { prefix }, route: { cluster } });
  const http = listener('http', 'http_connection_manager.v3.HttpConnectionManager', {
    accessLog: logs('http'),
    httpFilters: [{ name: 'envoy.filters.http.router', typedConfig: { '@type': `${TYPE}.filters.http.router.v3.Router` } }],
    routeConfig: {
      name: 'r',
      validateClusters: false,
      virtualHosts: [
        { name: 'v', domains: ['www.example.com'], routes: [route('/none', 'nowhere'), route('/refused', 'refusing'), route('/', 'up')] },
      ],
    },
  });
  const tcp = (name: string, cluster: string) => listener(name, 'tcp_proxy.v3.TcpProxy', { accessLog: logs('tcp'), cluster });
  return [http, tcp('tcp', 'echo'), tcp('tcp-refused', 'refusing')];
}

function clusters(up: number, echo: number, als: number): JsonObject[] {
  const cluster = (name: string, portValue: number): JsonObject => ({
    name,
    type: 'STATIC',
    connectTimeout: '1s',
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue } } } }] }],
    },
  });
  const http2 = { '@type': `${TYPE}.upstreams.http.v3.HttpProtocolOptions`, explicitHttpConfig: { http2ProtocolOptions: {} } };
  return [
    cluster('up', up),
    cluster('echo', echo),
    // Port 1 of the loopback has no listener.
    cluster('refusing', 1),
    { ...cluster(ALS, als), typedExtensionProtocolOptions: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': http2 } },
  ];
}

const CALLS: readonly (readonly [method: string, host: string, path: string])[] = [
  ['POST', 'www.example.com', '/a?b=c'],
  ['GET', 'www.example.com', '/none'],
  ['GET', 'www.example.com', '/refused'],
  ['GET', 'other.example.com', '/'],
];

async function ask(port: number, [method, host, path]: (typeof CALLS)[number]): Promise<void> {
  const headers = { host, 'x-tenant': 'blue', 'user-agent': 'test', 'x-request-id': '00000001-1111-4111-8111-111111111111' };
  const call = request({ port, host: '127.0.0.1', path, method, headers, agent: false });
  call.end(method === 'POST' ? 'abc' : undefined);
  const [answer] = await once(call, 'response');
  await once(answer.resume(), 'end');
}

async function talk(port: number): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('connect', () => socket.end('hello'));
  // A refused one may be reset.
  socket.on('error', () => undefined).resume();
  await new Promise((resolve) => socket.on('close', resolve));
}

/** What differs from run to run, or is not known to the one. */
const VARYING =
  /^(startTime|duration|timeTo\w+|streamId|\w*LocalAddress|downstream\w*Address|\w+HeadersBytes|\w+HeaderBytes\w*|\w+WireBytes\w*|upstreamRemoteAddress|filterStateObjects)$/;

function alike(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(alike);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !VARYING.test(name))
      .map(([name, of]) => [name, alike(of)] as const)
      // Envoy writes messages that hold nothing.
      .filter(([, of]) => JSON.stringify(of) !== '{}')
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

const sorted = (entries: readonly Entry[]) => entries.map(({ log, entry }) => `${log} ${JSON.stringify(alike(entry))}`).sort();

test('both engines send the same entries of the same calls', { skip, timeout: 60_000 }, async (t) => {
  const up = createHttpServer((asked, answer) => asked.resume().on('end', () => answer.setHeader('x-version', '7').end('got it')));
  const echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
  up.listen(0, '127.0.0.1');
  echo.listen(0, '127.0.0.1');
  await Promise.all([once(up, 'listening'), once(echo, 'listening')]);
  t.after(() => up.close() && echo.close());
  const als = await logService(t);
  const set = clusters((up.address() as AddressInfo).port, (echo.address() as AddressInfo).port, als.port);
  // Both loggers have each of them, as with Istio.
  const count = 2 * (CALLS.length + 2);
  const made = async (portOf: (name: string) => number | Promise<number>) => {
    for (const call of CALLS) await ask(await portOf('http'), call);
    for (const name of ['tcp', 'tcp-refused']) await talk(await portOf(name));
    return als.entries(count);
  };
  const [http, ...tcp] = listeners();
  const expected: Entry[] = [];
  const theirs = await startEnvoy(envoy!, http!, set);
  for (const call of CALLS) await ask(theirs.port, call);
  expected.push(...(await als.entries(2 * CALLS.length)));
  await theirs.stop();
  for (const listener of tcp) {
    const other = await startEnvoy(envoy!, listener, set);
    await talk(other.port);
    expected.push(...(await als.entries(2)));
    await other.stop();
  }
  const ours = await dataPlane(t, { node: nodeJson(SIDECAR) });
  assert.deepEqual((await ours.set({ listeners: listeners(), clusters: set })).rejected, []);
  const found = await made((name) => ours.port(name));
  assert.deepEqual(sorted(found), sorted(expected));
  assert.ok(found.some(({ entry }) => JSON.stringify(entry).includes('"x-tenant":"blue"')));
});

test('what waits is sent at the end; a service that is away costs no call, and what it missed is counted', {
  timeout: 60_000,
}, async (t) => {
  const up = createHttpServer((_, answer) => answer.end('got it')).listen(0, '127.0.0.1');
  const gone = createServer().listen(0, '127.0.0.1');
  await Promise.all([once(up, 'listening'), once(gone, 'listening')]);
  t.after(() => up.close());
  const { port } = gone.address() as AddressInfo;
  gone.close();
  const als = await logService(t);
  const [http] = listeners();
  const ours = await dataPlane(t, { node: nodeJson(SIDECAR) });
  const upstream = (up.address() as AddressInfo).port;
  await ours.set({ listeners: [http!], clusters: clusters(upstream, upstream, port) });
  await ask(ours.port('http'), CALLS[0]!);
  const counted = (name: string) => ours.plane.stats().counters.find((each) => each.name === `access_logs.grpc_access_log.${name}`)?.value;
  // Nothing tells when it has been tried for the last time.
  while (counted('logs_dropped') !== 2) await new Promise((resolve) => setTimeout(resolve, 100));
  await ours.set({ listeners: [http!], clusters: clusters(upstream, upstream, als.port) });
  await ask(ours.port('http'), CALLS[0]!);
  await ours.plane.drain(1000);
  assert.equal((await als.entries(2)).length, 2);
  assert.equal(counted('logs_written'), 2);
});

test('long paths of one client cost no call its entry: messages stay shorter than a service takes', { timeout: 60_000 }, async (t) => {
  const als = await logService(t);
  const [http] = listeners();
  const ours = await dataPlane(t, { node: nodeJson(SIDECAR) });
  await ours.set({ listeners: [http!], clusters: clusters(1, 1, als.port) });
  const port = ours.port('http');
  const path = `/none/${'x'.repeat(50_000)}`;
  for (let call = 0; call < 120; call++) await ask(port, ['GET', 'www.example.com', path]);
  await ours.plane.drain(5000);
  const counted = (name: string) => ours.plane.stats().counters.find((each) => each.name === `access_logs.grpc_access_log.${name}`)?.value;
  assert.equal(counted('logs_dropped') ?? 0, 0);
  assert.equal((await als.entries(2 * 120)).length, 2 * 120);
});

test('what a logger asks for and is not sent is refused', async (t) => {
  const [http] = listeners();
  const listener = JSON.parse(
    JSON.stringify(http).replaceAll('"logName":"requests"', '"logName":"requests","customTags":[{"tag":"a","literal":{"value":"b"}}]'),
  );
  const ours = await dataPlane(t);
  const { rejected } = await ours.set({ listeners: [listener], clusters: clusters(1, 1, 1) });
  assert.match(rejected.map(({ message }) => message).join(), /common_config\.custom_tags are not sent by this proxy/);
});
