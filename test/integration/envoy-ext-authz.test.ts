/**
 * AuthorizationPolicies with action CUSTOM on a stock Envoy and on the embedded data plane, with real authorizers over HTTP and gRPC: what these are told, what
 * the server behind gets, and what the client sees are the same. Envoy is the one that `scripts/fetch-envoy.ts` finds (SALLYPORT_ENVOY, PATH or its cache).
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server as HttpServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, type TestContext, test } from 'node:test';
import { create, fromBinary, type JsonObject, type MessageInitShape, toBinary, toJson } from '@bufbuild/protobuf';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { FilterSchema } from '../../src/xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { HttpFilterSchema } from '../../src/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { CheckRequestSchema, CheckResponseSchema } from '../../src/xds/gen/envoy/service/auth/v3/external_auth_pb.js';
import type { StatusCode } from '../../src/xds/gen/envoy/type/v3/http_status_pb.js';
import { typeRegistry } from '../../src/xds/type-registry.ts';
import { httpOf, listenerOf, ROUTER, translated } from '../support/translated.ts';
import {
  accessLog,
  client,
  cluster,
  dataPlane,
  echoServer,
  folder,
  listener,
  logged,
  readAll,
  tcpProxy,
  typed,
} from './dataplane/support.ts';
import { startEnvoy } from './envoy-process.ts';

const ENVOY = findEnvoy();
const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

const RESOURCES = (rules: string) => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: g, namespace: istio-system }
spec: { selector: { istio: egressgateway }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }] }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: authz, namespace: istio-system }
spec:
  hosts: [authz.example.com]
  resolution: STATIC
  ports: [{ number: 8000, name: http, protocol: HTTP }, { number: 9000, name: grpc, protocol: GRPC }]
  endpoints: [{ address: 127.0.0.1 }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ask, namespace: istio-system }
spec: { action: CUSTOM, provider: { name: it }, rules: ${rules} }
`;

const TCP_ROUTE = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: t, namespace: istio-system }
spec: { hosts: ['*'], gateways: [g], tcp: [{ route: [{ destination: { host: authz.example.com, port: { number: 8000 } } }] }] }
`;

/** The authorizer's service as a cluster is named by. */
const AUTHORIZERS = { http: 'outbound|8000||authz.example.com', grpc: 'outbound|9000||authz.example.com' };
const H2 = {
  typedExtensionProtocolOptions: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed('envoy.extensions.upstreams.http.v3.HttpProtocolOptions', {
      explicitHttpConfig: { http2ProtocolOptions: {} },
    }),
  },
};

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What differs from one run to the next. */
const VARYING = new Set([
  'date',
  'x-request-id',
  'x-forwarded-for',
  'x-envoy-upstream-service-time',
  'keep-alive',
  'connection',
  'host',
  ':authority',
  'transfer-encoding',
  'x-envoy-expected-rq-timeout-ms',
]);
const steady = (headers: Iterable<readonly [string, unknown]>) =>
  Object.fromEntries([...headers].filter(([name]) => !VARYING.has(name)).sort(([a], [b]) => (a < b ? -1 : 1)));

async function bodyOf(message: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of message as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString();
}

async function listening(server: HttpServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** What authorizers and the server behind were told, in order. */
let told: object[] = [];
/** What the authorizer says of connections. */
let tcpAllowed = true;

const upstream = createServer(async (message, response) => {
  told.push({
    upstream: `${message.method} ${message.url}`,
    headers: steady(Object.entries(message.headers)),
    body: await bodyOf(message),
  });
  response.setHeader('x-own', 'upstream');
  response.end('hello');
});

/** Says what `x-want` asks for. */
const httpAuthorizer = createServer(async (message, response) => {
  const body = await bodyOf(message);
  told.push({ asked: `${message.method} ${message.url}`, headers: steady(Object.entries(message.headers)), body });
  const want = message.headers['x-want'];
  response.setHeader('x-up-1', 'one').setHeader('x-down-1', 'two').setHeader('x-other', 'three').setHeader('set-cookie', ['a=1', 'b=2']);
  if (want === 'deny') response.writeHead(403, { 'content-type': 'application/json' }).end('{"no":true}');
  else if (want === 'login') response.writeHead(302, { location: 'https://login.example.com/' }).end();
  else if (want === 'redirected') response.writeHead(201).end('created');
  else if (want === 'broken') response.writeHead(500).end('oops');
  else if (want === 'cut') response.destroy();
  else if (want === 'remove') response.writeHead(200, { 'x-envoy-auth-headers-to-remove': 'x-secret, x-b-1' }).end();
  else if (want === 'silent') return;
  else response.writeHead(200).end('ignored');
});

const grpcAuthorizer = new Server();
type Response = MessageInitShape<typeof CheckResponseSchema>;
const header = (key: string, value: string, more = {}) => ({ header: { key, value }, ...more });
const ANSWERS: Readonly<Record<string, Response>> = {
  deny: { status: { code: 7 } },
  'deny-all': {
    status: { code: 16 },
    httpResponse: {
      case: 'deniedResponse',
      value: {
        status: { code: 401 },
        headers: [header('x-why', 'a'), header('x-why', 'b'), header('www-authenticate', 'Basic')],
        body: 'go away',
      },
    },
  },
  set: {
    status: {},
    httpResponse: {
      case: 'okResponse',
      value: {
        headers: [
          header('x-up', 'set'),
          header('x-twice', 'more', { append: true }),
          header('x-new', 'n', { append: true }),
          header('X-Case', 'c'),
          header('x-a', 'ignored', { append: false }),
        ],
        headersToRemove: ['x-secret', ':path', 'host'],
        responseHeadersToAdd: [
          header('x-own', 'added'),
          header('x-set', '1', { append: false }),
          header('x-own', 'kept', { appendAction: 1 }),
          header('x-own-2', 'absent', { appendAction: 1 }),
        ],
      },
    },
  },
  umlaut: { status: {}, httpResponse: { case: 'okResponse', value: { headers: [header('x-up', 'Zoë \u010d\u010ax-forged: 1')] } } },
  break: { status: {}, httpResponse: { case: 'okResponse', value: { headers: [header('x-up', 'a\r\nx-forged: 1')] } } },
  'break-name': { status: {}, httpResponse: { case: 'okResponse', value: { headers: [header('x-up: a\r\nx-forged', '1')] } } },
  'break-path': {
    status: {},
    httpResponse: { case: 'okResponse', value: { headers: [header(':path', '/a HTTP/1.1\r\nx-forged: 1\r\n')] } },
  },
  'break-answer': {
    status: {},
    httpResponse: { case: 'okResponse', value: { responseHeadersToAdd: [header('x-up', 'a\r\nx-forged: 1')] } },
  },
  'break-denied': {
    status: { code: 7 },
    httpResponse: { case: 'deniedResponse', value: { headers: [header('x-up', 'a\r\nx-forged: 1')] } },
  },
  'denied-101': { status: { code: 7 }, httpResponse: { case: 'deniedResponse', value: { status: { code: 101 as StatusCode } } } },
  framing: { status: {}, httpResponse: { case: 'okResponse', value: { headers: [header('content-length', '1')] } } },
  chunked: { status: {}, httpResponse: { case: 'okResponse', value: { headers: [header('transfer-encoding', 'chunked')] } } },
  path: { status: {}, httpResponse: { case: 'okResponse', value: { headers: [header(':path', '/elsewhere?x=1')] } } },
  query: {
    status: {},
    httpResponse: { case: 'okResponse', value: { queryParametersToSet: [{ key: 'q', value: '2' }], queryParametersToRemove: ['gone'] } },
  },
};

grpcAuthorizer.addService(
  {
    check: {
      path: '/envoy.service.auth.v3.Authorization/Check',
      requestStream: false,
      responseStream: false,
      requestSerialize: (value: Buffer) => value,
      requestDeserialize: (value: Buffer) => value,
      responseSerialize: (value: Buffer) => value,
      responseDeserialize: (value: Buffer) => value,
    },
  },
  {
    check(call: { request: Buffer }, callback: (error: object | null, value?: Buffer) => void) {
      const { attributes } = fromBinary(CheckRequestSchema, call.request);
      if (!attributes!.request?.http) {
        told.push({ connection: attributes!.source!.address!.address.case });
        callback(null, Buffer.from(toBinary(CheckResponseSchema, create(CheckResponseSchema, { status: { code: tcpAllowed ? 0 : 7 } }))));
        return;
      }
      const http = attributes!.request!.http!;
      const { method, path, scheme, protocol, body, rawBody, size } = http;
      told.push({
        asked: `${method} ${path} ${scheme} ${protocol}`,
        headers: steady(Object.entries(http.headers)),
        body,
        rawBody: Buffer.from(rawBody).toString(),
        size: Number(size),
        source: attributes!.source!.address!.address.case,
        principal: attributes!.source!.principal,
        time: attributes!.request!.time !== undefined,
      });
      const want = http.headers['x-want'] ?? '';
      if (want === 'broken') callback({ code: 13, details: 'oops' });
      else if (want !== 'silent')
        callback(null, Buffer.from(toBinary(CheckResponseSchema, create(CheckResponseSchema, ANSWERS[want] ?? { status: {} }))));
    },
  },
);

let ports: { upstream: number; http: number; grpc: number };

before(async () => {
  const grpc = await new Promise<number>((resolve, reject) =>
    grpcAuthorizer.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => (error ? reject(error) : resolve(port))),
  );
  ports = { upstream: await listening(upstream), http: await listening(httpAuthorizer), grpc };
});
after(() => {
  grpcAuthorizer.forceShutdown();
  for (const server of [upstream, httpAuthorizer]) {
    server.closeAllConnections();
    server.close();
  }
});

/** What a client sees of a request. */
async function ask(port: number, { method = 'GET', path = '/x?q=1&gone=1', headers = {}, body }: Sent) {
  const made = request({ port, host: '127.0.0.1', method, path, headers, agent: false });
  made.end(body);
  const [response] = (await once(made, 'response')) as [IncomingMessage];
  const text = await bodyOf(response);
  const { rawHeaders } = response;
  const fields = rawHeaders.flatMap((name, index) =>
    index % 2 === 0 && !VARYING.has(name.toLowerCase()) ? [`${name.toLowerCase()}: ${rawHeaders[index + 1]}`] : [],
  );
  return { status: response.statusCode, fields: fields.sort(), text };
}

/** Both engines with one configuration; resolves with their ports. */
async function engines(
  t: TestContext,
  provider: JsonObject,
  rules: string,
  clusters?: readonly JsonObject[],
): Promise<readonly [number, number]> {
  const config = { extensionProviders: [{ name: 'it', ...provider }] };
  const result = translated(RESOURCES(rules), ROUTER, config);
  assert.deepEqual(result.findings, []);
  const filters = httpOf(listenerOf(result, '0.0.0.0_80').filterChains[0]!).httpFilters.map(
    (filter) => toJson(HttpFilterSchema, filter, { registry: typeRegistry }) as JsonObject,
  );
  const responseHeadersToAdd = [{ header: { key: 'x-outcome', value: '%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%' } }];
  const manager = typed(HCM, {
    statPrefix: 'x',
    httpFilters: filters,
    routeConfig: {
      name: 'rc',
      virtualHosts: [
        { name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'upstream' }, responseHeadersToAdd }] },
      ],
    },
  });
  const one = listener('l', [{ filters: [{ name: 'hcm', typedConfig: manager }] }]);
  const all = clusters ?? [
    cluster('upstream', [ports.upstream]),
    cluster(AUTHORIZERS.http, [ports.http]),
    cluster(AUTHORIZERS.grpc, [ports.grpc], H2),
  ];
  const envoy = await startEnvoy(ENVOY!, one, all);
  t.after(() => envoy.stop());
  const plane = await dataPlane(t);
  const ack = await plane.set({ listeners: [one], clusters: [...all] });
  assert.deepEqual(ack.rejected, []);
  return [envoy.port, plane.port('l')];
}

/** The outcome on Envoy, which has to be the embedded data plane's as well. */
async function same(
  t: TestContext,
  [envoy, own]: readonly [number, number],
  sent: Sent,
  name: string,
): Promise<{ status: number | undefined; told: object[] }> {
  let outcome: { status: number | undefined; told: object[] } | undefined;
  await t.test(name, async () => {
    told = [];
    const expected = { answer: await ask(envoy, sent), told };
    told = [];
    const given = { answer: await ask(own, sent), told };
    assert.deepEqual(given, expected);
    outcome = { status: expected.answer.status, told: expected.told };
  });
  return outcome!;
}

const SECRET = { 'x-secret': 's', 'x-b-1': 'b', authorization: 'Bearer t', cookie: 'c=1' };

describe('external authorization beside Envoy', { skip: ENVOY ? false : 'there is no Envoy' }, () => {
  test('over HTTP', async (t) => {
    const both = await engines(
      t,
      {
        envoyExtAuthzHttp: {
          service: 'authz.example.com',
          port: 8000,
          timeout: '1s',
          pathPrefix: '/check',
          includeRequestHeadersInCheck: ['x-want', 'x-b-*'],
          includeAdditionalHeadersInCheck: { 'x-added': 'yes', 'x-path': '%REQ(:path)%' },
          headersToUpstreamOnAllow: ['x-up-*'],
          headersToDownstreamOnAllow: ['x-down-*'],
        },
      },
      '[{ to: [{ operation: { notPaths: [/free] } }] }]',
    );
    const statuses: Record<string, number | undefined> = {};
    for (const want of ['allow', 'deny', 'login', 'redirected', 'broken', 'cut', 'remove', 'silent']) {
      const outcome = await same(t, both, { headers: { ...SECRET, 'x-want': want } }, want);
      statuses[want] = outcome.status;
    }
    assert.deepEqual(statuses, { allow: 200, deny: 403, login: 302, redirected: 201, broken: 403, cut: 403, remove: 200, silent: 403 });
    const free = await same(t, both, { path: '/free', headers: { 'x-want': 'deny' } }, 'what no rule matches');
    assert.equal(free.status, 200);
    assert.equal(free.told.length, 1);
    await same(t, both, { method: 'POST', body: 'a body', headers: { 'x-want': 'allow', 'content-type': 'text/plain' } }, 'a body');
    await same(t, both, { method: 'HEAD', headers: { 'x-want': 'deny' } }, 'HEAD');
    await same(t, both, { headers: { 'x-want': 'deny', 'content-type': 'application/grpc' } }, 'a gRPC client');
  });

  test('over HTTP, with bodies, headers that clients may see, and another status for errors', async (t) => {
    const both = await engines(
      t,
      {
        envoyExtAuthzHttp: {
          service: 'authz.example.com',
          port: 8000,
          statusOnError: '503',
          includeRequestHeadersInCheck: ['x-want'],
          headersToDownstreamOnDeny: ['x-other'],
          includeRequestBodyInCheck: { maxRequestBytes: 8, allowPartialMessage: true },
        },
      },
      '[{}]',
    );
    for (const want of ['allow', 'deny', 'login', 'broken']) await same(t, both, { headers: { 'x-want': want } }, want);
    for (const body of ['short', '12345678', 'longer than eight'])
      await same(t, both, { method: 'POST', body, headers: { 'x-want': 'allow' } }, body);
  });

  test('over HTTP, with bodies that have to be whole', async (t) => {
    const both = await engines(
      t,
      {
        envoyExtAuthzHttp: {
          service: 'authz.example.com',
          port: 8000,
          failOpen: true,
          includeRequestHeadersInCheck: ['x-want'],
          includeRequestBodyInCheck: { maxRequestBytes: 8 },
        },
      },
      '[{}]',
    );
    const statuses: (number | undefined)[] = [];
    for (const body of ['short', 'longer than eight'])
      statuses.push((await same(t, both, { method: 'POST', body, headers: { 'x-want': 'allow' } }, body)).status);
    assert.deepEqual(statuses, [200, 413]);
    assert.equal((await same(t, both, { headers: { 'x-want': 'broken' } }, 'open where it fails')).status, 200);
    assert.equal((await same(t, both, { headers: { 'x-want': 'deny' } }, 'closed where it denies')).status, 403);
  });

  test('over gRPC', async (t) => {
    const both = await engines(
      t,
      {
        envoyExtAuthzGrpc: {
          service: 'authz.example.com',
          port: 9000,
          timeout: '1s',
          includeRequestBodyInCheck: { maxRequestBytes: 8, allowPartialMessage: true, packAsBytes: true },
        },
      },
      '[{}]',
    );
    const statuses: Record<string, number | undefined> = {};
    for (const want of ['allow', 'deny', 'deny-all', 'set', 'path', 'query', 'broken', 'silent']) {
      const outcome = await same(t, both, { headers: { ...SECRET, 'x-want': want, 'x-twice': 'before', 'x-a': 'b' } }, want);
      statuses[want] = outcome.status;
    }
    assert.deepEqual(statuses, { allow: 200, deny: 403, 'deny-all': 401, set: 200, path: 200, query: 200, broken: 403, silent: 403 });
    for (const want of ['umlaut', 'break', 'break-name', 'break-path'])
      await same(t, both, { method: 'POST', body: 'a body', headers: { 'x-want': want } }, want);
    // Envoy passes these on as they are: the body's rest is the beginning of another request then, and the answer the beginning of another answer.
    await t.test('what would frame a message otherwise is not taken from an authorizer', async () => {
      for (const want of ['framing', 'chunked', 'break-answer', 'break-denied', 'denied-101']) {
        told = [];
        const { status, fields } = await ask(both[1], { method: 'POST', body: 'a body', headers: { 'x-want': want } });
        const denied = want.includes('denied');
        assert.equal(status, denied ? 403 : 200, want);
        assert.ok(!fields.some((field) => field.startsWith('x-forged')), want);
        if (!denied) assert.deepEqual((told[1] as { body: string }).body, 'a body');
      }
    });
    for (const body of ['short', 'longer than eight']) await same(t, both, { method: 'POST', body, headers: { 'x-want': 'allow' } }, body);
  });

  test('connections, over gRPC', async (t) => {
    const path = folder(t);
    const asked = (allow: boolean) => {
      tcpAllowed = allow;
      told = [];
    };
    const result = translated(
      RESOURCES('[{}]').replace('80, name: http, protocol: HTTP', '80, name: tcp, protocol: TCP') + TCP_ROUTE,
      ROUTER,
      {
        extensionProviders: [{ name: 'it', envoyExtAuthzGrpc: { service: 'authz.example.com', port: 9000, timeout: '1s' } }],
      },
    );
    const filters = listenerOf(result, '0.0.0.0_80')
      .filterChains[0]!.filters.slice(0, -1)
      .map((filter) => toJson(FilterSchema, filter, { registry: typeRegistry }) as JsonObject);
    assert.equal(filters.length, 2);
    const echo = await echoServer(t);
    const log = accessLog(`${path}/own.log`);
    const clusters = [cluster('upstream', [echo]), cluster(AUTHORIZERS.grpc, [ports.grpc], H2)];
    const one = listener('l', [{ filters: [...filters, tcpProxy('upstream', { accessLog: log })] }]);
    const envoy = await startEnvoy(ENVOY!, listener('l', [{ filters: [...filters, tcpProxy('upstream')] }]), clusters);
    t.after(() => envoy.stop());
    const plane = await dataPlane(t);
    assert.deepEqual((await plane.set({ listeners: [one], clusters })).rejected, []);
    for (const port of [envoy.port, plane.port('l')]) {
      for (const allow of [true, false]) {
        asked(allow);
        const socket = await client(t, port);
        socket.end('hello');
        assert.equal((await readAll(socket)).toString(), allow ? 'hello' : '');
        assert.deepEqual(told, [{ connection: 'socketAddress' }]);
      }
    }
    const lines = await logged(plane, `${path}/own.log`, 2);
    assert.deepEqual(
      lines.map(({ flags }) => flags ?? '-'),
      ['-', 'UAEX'],
    );
  });

  test('without an authorizer', async (t) => {
    const nobody = [cluster('upstream', [ports.upstream]), cluster(AUTHORIZERS.http, [1])];
    const closed = await engines(t, { envoyExtAuthzHttp: { service: 'authz.example.com', port: 8000 } }, '[{}]', nobody);
    assert.equal((await same(t, closed, {}, 'nobody listens')).status, 403);
    const open = await engines(t, { envoyExtAuthzHttp: { service: 'authz.example.com', port: 8000, failOpen: true } }, '[{}]', nobody);
    assert.equal((await same(t, open, {}, 'nobody listens, and that opens')).status, 200);
  });
});
