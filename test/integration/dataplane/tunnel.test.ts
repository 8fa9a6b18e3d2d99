/** Connections through forward proxies: what is asked of them, what their answers do, and what never happens. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { connect as tlsConnect } from 'node:tls';
import type { JsonObject } from '@bufbuild/protobuf';
import { type ForwardProxy, forwardProxy } from '../forward-proxy.ts';
import {
  accessLog,
  certificates,
  client,
  cluster,
  dataPlane,
  echoServer,
  folder,
  listener,
  logged,
  type Plane,
  readAll,
  TLS_INSPECTOR,
  tcpProxy,
  typed,
} from './support.ts';

const certs = mkdtempSync(join(tmpdir(), 'sallyport-certs-'));
const pem = (name: string) => readFileSync(join(certs, name), 'utf8');

before(() => {
  certificates(certs, { www: 'DNS:www.example.com', proxy: 'DNS:proxy.example' });
  process.on('exit', () => rmSync(certs, { recursive: true, force: true }));
});

const tlsFor = (name: string) => ({ cert: pem(`${name}.crt`), key: pem(`${name}.key`) });

/** TLS towards a server whose certificate has this name. */
function verified(name: string): JsonObject {
  return {
    name: 'tls',
    typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
      sni: name,
      commonTlsContext: {
        validationContext: {
          trustedCa: { inlineString: pem('ca.crt') },
          matchTypedSubjectAltNames: [{ sanType: 'DNS', matcher: { exact: name } }],
        },
      },
    }),
  };
}

/** The internal listener: asks the proxies of the cluster `proxy` for the destination that the endpoint names. */
function way(more: JsonObject = {}): JsonObject {
  const tunnelingConfig = { hostname: '%DYNAMIC_METADATA(tunnel:destination)%' };
  return { name: 'way', internalListener: {}, filterChains: [{ filters: [tcpProxy('proxy', { tunnelingConfig, ...more })] }] };
}

/** A cluster that leads to a destination by way of the internal listener. */
function beyond(destination: string, transportSocket?: JsonObject, serverListenerName = 'way'): JsonObject {
  return {
    name: 'beyond',
    type: 'STATIC',
    connectTimeout: '1s',
    transportSocket: {
      name: 'internal',
      typedConfig: typed('envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport', {
        passthroughMetadata: [{ kind: { host: {} }, name: 'tunnel' }],
        transportSocket: transportSocket ?? {
          name: 'raw',
          typedConfig: typed('envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer'),
        },
      }),
    },
    loadAssignment: {
      clusterName: 'beyond',
      endpoints: [
        {
          lbEndpoints: [
            {
              endpoint: { address: { envoyInternalAddress: { serverListenerName, endpointId: destination } } },
              metadata: { filterMetadata: { tunnel: { destination } } },
            },
          ],
        },
      ],
    },
  };
}

/** All requests go beyond. */
function http(log?: string): JsonObject {
  return {
    name: 'http',
    typedConfig: typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
      statPrefix: 'h',
      routeConfig: { virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'beyond' } }] }] },
      httpFilters: [{ name: 'router', typedConfig: typed('envoy.extensions.filters.http.router.v3.Router') }],
      ...(log && { accessLog: accessLog(log) }),
    }),
  };
}

async function proxyOf(t: TestContext, upstreamPort: number, tls?: Parameters<typeof forwardProxy>[1]): Promise<ForwardProxy> {
  const proxy = await forwardProxy(upstreamPort, tls);
  t.after(() => proxy.close());
  return proxy;
}

async function webServer(t: TestContext, secure: boolean): Promise<number> {
  const answer: Parameters<typeof createServer>[1] = (request, response) => response.end(`${request.headers.host} ${request.url}`);
  const server = secure ? createHttpsServer(tlsFor('www'), answer) : createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function planeOf(t: TestContext, json: Parameters<Plane['set']>[0]): Promise<Plane> {
  const plane = await dataPlane(t);
  assert.deepEqual((await plane.set(json)).rejected, []);
  return plane;
}

async function get(t: TestContext, plane: Plane): Promise<string> {
  const socket = await client(t, plane.port('l'));
  socket.write('GET /x HTTP/1.1\r\nhost: www.example.com\r\nconnection: close\r\n\r\n');
  return (await readAll(socket)).toString();
}

for (const [name, secureProxy, secureServer] of [
  ['plain, through a plain proxy', false, false],
  ['TLS that the proxy does not see', false, true],
  ['TLS within TLS', true, true],
] as const)
  test(`requests: ${name}`, async (t) => {
    const proxy = await proxyOf(t, await webServer(t, secureServer), secureProxy ? tlsFor('proxy') : undefined);
    const plane = await planeOf(t, {
      listeners: [listener('l', [{ filters: [http()] }]), way()],
      clusters: [
        beyond('www.example.com:8443', secureServer ? verified('www.example.com') : undefined),
        cluster('proxy', [proxy.port], secureProxy ? { transportSocket: verified('proxy.example') } : {}),
      ],
    });
    assert.match(await get(t, plane), /^HTTP\/1\.1 200 .*www\.example\.com \/x$/s);
    assert.match(await get(t, plane), /^HTTP\/1\.1 200 /);
    // The connection is kept for the second one.
    assert.deepEqual(proxy.heads, ['CONNECT www.example.com:8443 HTTP/1.1\r\nhost: www.example.com:8443']);
    plane.plane.close();
    await until(() => proxy.open() === 0);
  });

/** Waits, in turns of the event loop, for what no event tells of. */
async function until(is: () => boolean): Promise<void> {
  while (!is()) await new Promise((resolve) => setImmediate(resolve));
}

test('a certificate of the destination that is not its own ends the call within the tunnel', async (t) => {
  const proxy = await proxyOf(t, await webServer(t, true));
  const plane = await planeOf(t, {
    listeners: [listener('l', [{ filters: [http()] }]), way()],
    clusters: [beyond('other.example:443', verified('other.example')), cluster('proxy', [proxy.port])],
  });
  assert.match(await get(t, plane), /^HTTP\/1\.1 503 /);
  assert.deepEqual(proxy.heads.length, 1);
});

test('what a proxy refuses, and that it is gone, is told with its name, and no other way is gone', async (t) => {
  const log = join(folder(t), 'log');
  const origin = await webServer(t, false);
  const proxy = await proxyOf(t, origin);
  const answers: string[] = [];
  for (const [destination, port] of [
    ['auth.example:443', proxy.port],
    ['gateway.example:443', proxy.port],
    ['nonsense.example:443', proxy.port],
    // Port 1 of the loopback has no listener.
    ['www.example.com:80', 1],
  ] as const) {
    const plane = await planeOf(t, {
      listeners: [listener('l', [{ filters: [http(log)] }]), way()],
      clusters: [beyond(destination), cluster('proxy', [port])],
    });
    answers.push(await get(t, plane));
    await logged(plane, log, answers.length);
  }
  for (const answer of answers) assert.match(answer, /^HTTP\/1\.1 503 /);
  assert.match(answers[0]!, /through the proxy 127\.0\.0\.1:\d+: tunnel_response:407/);
  assert.match(answers[1]!, /tunnel_response:502/);
  assert.match(answers[2]!, /through the proxy 127\.0\.0\.1:\d+: tunnel: the proxy/);
  assert.match(answers[3]!, /through the proxy 127\.0\.0\.1:1: delayed connect error: Connection refused/);
});

test('a proxy that the control plane has led nowhere, or of which nobody knows, is named with the reason', async (t) => {
  const refused = { filterMetadata: { sallyport: { refusal: 'is no ServiceEntry that this proxy sees' } } };
  for (const [listeners, reason] of [
    [[{ ...way(), name: 'through|3128||proxy.example', metadata: refused }], 'it is no ServiceEntry that this proxy sees'],
    [[], 'it has no listener that asks it'],
  ] as const) {
    const log = join(folder(t), 'log');
    const plane = await planeOf(t, {
      listeners: [listener('l', [{ filters: [http(log)] }]), ...listeners],
      clusters: [beyond('www.example.com:80', undefined, 'through|3128||proxy.example'), cluster('proxy', [1])],
    });
    assert.ok((await get(t, plane)).endsWith(`through the proxy proxy.example:3128: ${reason}`));
    const [line] = await logged(plane, log, 1);
    assert.equal(line!.host, 'envoy://through|3128||proxy.example/www.example.com:80', 'as Envoy prints it');
    assert.equal(line!.reason, `through the proxy proxy.example:3128: ${reason}`.replaceAll(' ', '_'));
  }
});

test('a proxy that says nothing is given up after the connect timeout, and one whose client has gone is left', async (t) => {
  const proxy = await proxyOf(t, await echoServer(t));
  const tunnelingConfig = { hostname: 'silent.example:443' };
  const plane = await planeOf(t, {
    listeners: [listener('l', [{ filters: [tcpProxy('proxy', { tunnelingConfig })] }])],
    clusters: [cluster('proxy', [proxy.port], { connectTimeout: '0.2s' })],
  });
  const socket = await client(t, plane.port('l'));
  socket.write('ping');
  assert.equal((await readAll(socket)).toString(), '');
  const leaving = await client(t, plane.port('l'));
  await until(() => proxy.heads.length === 2);
  leaving.destroy();
  await until(() => proxy.open() === 0);
  assert.deepEqual(proxy.early, []);
});

test('of several proxies one that refuses leads on to the next, and what the client sent goes out once', async (t) => {
  const [refusing, good] = [await proxyOf(t, 1), await proxyOf(t, await echoServer(t))];
  const plane = await planeOf(t, {
    listeners: [
      listener('l', [{ filters: [tcpProxy('proxy', { tunnelingConfig: { hostname: 'a.example:443' }, maxConnectAttempts: 2 })] }]),
    ],
    clusters: [cluster('proxy', [refusing.port, good.port])],
  });
  for (let i = 0; i < 4; i++) {
    const socket = await client(t, plane.port('l'));
    socket.end(`ping ${i}`);
    assert.equal((await readAll(socket)).toString(), `ping ${i}`);
  }
  assert.equal(good.heads.length, 4);
  assert.ok(refusing.heads.length >= 1);
});

test('the name in the SNI is asked for, and what is no name is not', async (t) => {
  const log = join(folder(t), 'log');
  const proxy = await proxyOf(t, await webServer(t, true));
  const tunnelingConfig = { hostname: '%REQUESTED_SERVER_NAME%:443' };
  const plane = await planeOf(t, {
    listeners: [
      listener('l', [{ filters: [tcpProxy('proxy', { tunnelingConfig, accessLog: accessLog(log) })] }], {
        listenerFilters: [TLS_INSPECTOR],
      }),
    ],
    clusters: [cluster('proxy', [proxy.port])],
  });
  const secure = tlsConnect({ port: plane.port('l'), host: '127.0.0.1', servername: 'www.example.com', ca: pem('ca.crt') });
  await once(secure, 'secureConnect');
  secure.destroy();
  const plain = await client(t, plane.port('l'));
  plain.write('no TLS at all\r\n\r\n');
  await readAll(plain);
  assert.deepEqual(proxy.heads, ['CONNECT www.example.com:443 HTTP/1.1\r\nhost: www.example.com:443']);
});

test('what of tunnels is not supported refuses the listener', async (t) => {
  const plane = await dataPlane(t);
  const chain = (tunnelingConfig: JsonObject) => [{ filters: [tcpProxy('proxy', { tunnelingConfig })] }];
  const { rejected } = await plane.set({
    listeners: [
      listener('post', chain({ hostname: 'a.example:1', usePost: true })),
      listener('host', chain({ hostname: 'a.example:1', headersToAdd: [{ header: { key: 'Host', value: 'b' } }] })),
      listener('framing', chain({ hostname: 'a.example:1', headersToAdd: [{ header: { key: 'Transfer-Encoding', value: 'x' } }] })),
      { name: 'direct', internalListener: {}, filterChains: [{ filters: [tcpProxy('proxy')] }] },
    ],
  });
  assert.deepEqual(
    rejected.map(({ name, code }) => `${name} ${code}`),
    ['post xds-unsupported', 'host xds-invalid', 'framing xds-invalid', 'direct xds-unsupported'],
  );
});
