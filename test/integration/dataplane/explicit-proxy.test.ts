import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import type { JsonObject } from '@bufbuild/protobuf';
import {
  accessLog,
  client,
  cluster,
  dataPlane,
  echoServer,
  folder,
  HTTP_INSPECTOR,
  listener,
  logged,
  type Plane,
  readAll,
  readUntil,
  server,
  socketAddress,
  TLS_INSPECTOR,
  tcpProxy,
  typed,
} from './support.ts';

const run = promisify(execFile);

const EXPLICIT: JsonObject = {
  name: 'sallyport.filters.listener.explicit_proxy',
  typedConfig: { '@type': 'type.googleapis.com/google.protobuf.Empty' },
};

/** An explicit proxy in front of listeners that are not bound, as captured traffic meets them. */
async function explicitProxy(
  t: TestContext,
  listeners: JsonObject[],
  clusters: JsonObject[],
  names: Record<string, string[]>,
): Promise<Plane> {
  const made = await dataPlane(t, { nameServers: ['127.0.0.1:1'] });
  const { rejected } = await made.set({
    listeners: [
      listener('explicit', [{ filters: [tcpProxy('BlackHoleCluster')] }], { useOriginalDst: true, listenerFilters: [EXPLICIT] }),
      ...listeners,
    ],
    clusters: [cluster('BlackHoleCluster', []), ...clusters],
    names,
  });
  assert.deepEqual(rejected, []);
  return made;
}

const unbound = (name: string, address: JsonObject, chains: JsonObject[], more: JsonObject = {}) =>
  listener(name, chains, { address, bindToPort: false, ...more });

test('SOCKS5 and CONNECT take the path of captured traffic: name table, listener of the address, wildcard, else refused', async (t) => {
  const one = await server(t, (socket) => socket.end('one'));
  const any = await server(t, (socket) => socket.end('any'));
  const log = join(folder(t), 'log');
  const made = await explicitProxy(
    t,
    [
      unbound('10.0.0.1_7000', socketAddress(7000, '10.0.0.1'), [{ filters: [tcpProxy('one', { accessLog: accessLog(log) })] }]),
      unbound('0.0.0.0_7000', socketAddress(7000, '0.0.0.0'), [{ filters: [tcpProxy('any')] }]),
    ],
    [cluster('one', [one]), cluster('any', [any])],
    { 'db.example.com': ['10.0.0.1'], '*.wild.example.com': ['10.0.0.2'], 'nx.example.com': [] },
  );
  const at = made.port('explicit');
  const socks = async (request: Buffer): Promise<[Buffer, string]> => {
    const socket = await client(t, at);
    socket.write(Buffer.from([5, 1, 0]));
    const [greeting] = (await once(socket, 'data')) as [Buffer];
    assert.deepEqual([...greeting], [5, 0]);
    socket.write(request);
    const all = await readAll(socket);
    socket.end();
    return [all.subarray(0, 10), all.subarray(10).toString()];
  };
  const byName = (name: string, p: number) =>
    Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), Buffer.from(name), Buffer.from([p >> 8, p & 255])]);
  const granted = Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual(await socks(byName('DB.example.com.', 7000)), [granted, 'one']);
  assert.deepEqual(await socks(byName('a.b.wild.example.com', 7000)), [granted, 'any']);
  assert.deepEqual(await socks(Buffer.from([5, 1, 0, 1, 10, 0, 0, 1, 0x1b, 0x58])), [granted, 'one']);
  assert.deepEqual(await socks(byName('db.example.com', 7001)), [granted, ''], 'closed like any captured connection that nobody declares');
  assert.equal((await socks(byName('nx.example.com', 7000)))[0][1], 4);
  assert.deepEqual(
    await socks(byName('c2VjcmV0.evil.test', 7001)),
    [granted, ''],
    'so is a name that the table does not have, which is not looked up',
  );
  assert.equal((await socks(Buffer.from([5, 2, 0, 1, 10, 0, 0, 1, 0x1b, 0x58])))[0][1], 7);
  assert.equal((await socks(Buffer.from([5, 1, 0, 9, 10, 0, 0, 1, 0x1b, 0x58])))[0][1], 8);

  const connect = async (text: string): Promise<string> => {
    const socket = await client(t, at);
    socket.write(text);
    const answer = (await readAll(socket)).toString();
    socket.end();
    return answer;
  };
  assert.equal(await connect('CONNECT db.example.com:7000 HTTP/1.1\r\nHost: x\r\n\r\n'), 'HTTP/1.1 200 Connection established\r\n\r\none');
  assert.match(
    await connect('CONNECT nx.example.com:7000 HTTP/1.1\r\n\r\n'),
    /^HTTP\/1.1 502 Bad Gateway\r\n[\s\S]*nx\.example\.com cannot be resolved/,
  );
  assert.match(await connect('CONNECT nowhere HTTP/1.1\r\n\r\n'), /^HTTP\/1.1 400 /);
  assert.match(await connect('GET / HTTP/1.1\r\nHost: db.example.com\r\n\r\n'), /^HTTP\/1.1 400 [\s\S]*absolute form/);
  assert.match(await connect('GET https://db.example.com/ HTTP/1.1\r\n\r\n'), /^HTTP\/1.1 400 [\s\S]*CONNECT/);
  assert.match(await connect('\x01\x02\x03\x04'), /^HTTP\/1.1 400 /);
  assert.deepEqual(
    (await logged(made, log, 3)).map(({ local }) => local),
    ['10.0.0.1:7000', '10.0.0.1:7000', '10.0.0.1:7000'],
  );
});

test('bytes that come with the request for a tunnel belong to the tunnel', async (t) => {
  const echo = await echoServer(t);
  const { port } = await explicitProxy(
    t,
    [unbound('l', socketAddress(7000, '0.0.0.0'), [{ filters: [tcpProxy('echo')] }])],
    [cluster('echo', [echo])],
    {},
  );
  const socket = await client(t, port('explicit'));
  socket.end('CONNECT 10.1.2.3:7000 HTTP/1.1\r\n\r\nearly');
  assert.equal((await readAll(socket)).toString(), 'HTTP/1.1 200 Connection established\r\n\r\nearly');
});

function httpManager(routes: Record<string, string>): JsonObject {
  const virtualHosts = Object.entries(routes).map(([domain, name]) => ({
    name: domain,
    domains: [domain, `${domain}:*`],
    routes: [{ match: { prefix: '/' }, route: { cluster: name } }],
  }));
  return {
    name: 'http',
    typedConfig: typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
      statPrefix: 'h',
      routeConfig: { name: 'r', virtualHosts },
      httpFilters: [{ name: 'router', typedConfig: typed('envoy.extensions.filters.http.router.v3.Router') }],
    }),
  };
}

async function httpServer(t: TestContext, name: string): Promise<number> {
  const made = createServer((request, response) => response.end(`${name} ${request.headers.host} ${request.url}\n`)).listen(0, '127.0.0.1');
  await once(made, 'listening');
  t.after(() => {
    made.close();
    made.closeAllConnections();
  });
  return (made.address() as AddressInfo).port;
}

test('curl: absolute form with keep-alive to several hosts, CONNECT, SOCKS5', async (t) => {
  const [a, b] = [await httpServer(t, 'a'), await httpServer(t, 'b')];
  const chain = (routes: Record<string, string>) => [
    { filterChainMatch: { applicationProtocols: ['http/1.1', 'h2c'] }, filters: [httpManager(routes)] },
  ];
  const more = { listenerFilters: [TLS_INSPECTOR, HTTP_INSPECTOR], defaultFilterChain: { filters: [tcpProxy('BlackHoleCluster')] } };
  const { port } = await explicitProxy(
    t,
    [
      unbound('0.0.0.0_80', socketAddress(80, '0.0.0.0'), chain({ 'a.example.com': 'a' }), more),
      unbound('0.0.0.0_8080', socketAddress(8080, '0.0.0.0'), chain({ 'b.example.com': 'b' }), more),
    ],
    [cluster('a', [a]), cluster('b', [b])],
    { 'a.example.com': ['240.240.0.1'], 'b.example.com': ['240.240.0.2'], 'nx.example.com': [] },
  );
  const curl = async (...args: string[]) => (await run('curl', ['-sS', '--max-time', '10', ...args])).stdout;
  const proxy = `http://127.0.0.1:${port('explicit')}`;
  const urls = ['http://a.example.com/1', 'http://b.example.com:8080/2', 'http://a.example.com/3'];
  const expected = 'a a.example.com /1\nb b.example.com:8080 /2\na a.example.com /3\n';
  assert.equal(await curl('-x', proxy, ...urls), expected);
  assert.equal(await curl('-p', '-x', proxy, ...urls), expected);
  assert.equal(await curl('-x', `socks5h://127.0.0.1:${port('explicit')}`, ...urls), expected);
  assert.equal(await curl('-o', '/dev/null', '-w', '%{http_code}', '-x', proxy, 'http://nx.example.com/'), '502');
  assert.equal(
    await curl('-o', '/dev/null', '-w', '%{http_code}', '-x', proxy, 'http://other.example.com/'),
    '404',
    'no route, and no lookup',
  );
  // One connection, three requests, two listeners.
  const socket = await client(t, port('explicit'));
  for (const [url, line] of urls.map((each, i) => [each, expected.split('\n')[i]!] as const)) {
    socket.write(`GET ${url} HTTP/1.1\r\nHost: ${new URL(url).host}\r\n\r\n`);
    const answer = await readUntil(socket, `${line}\n`);
    assert.match(answer, /^HTTP\/1.1 200 /);
  }
});

test('the time of inspectors begins when the destination is known: a client may connect ahead of its request', async (t) => {
  const greeter = await server(t, (socket) => socket.write('hello'));
  const made = await dataPlane(t);
  const inspecting = {
    useOriginalDst: true,
    listenerFilters: [EXPLICIT, TLS_INSPECTOR, HTTP_INSPECTOR],
    listenerFiltersTimeout: '0.001s',
    continueOnListenerFiltersTimeout: true,
  };
  const { rejected } = await made.set({
    listeners: [listener('explicit', [{ filters: [tcpProxy('greeter')] }], inspecting)],
    clusters: [cluster('greeter', [greeter])],
  });
  assert.deepEqual(rejected, []);
  const request = 'CONNECT 192.0.2.1:7 HTTP/1.1\r\nHost: 192.0.2.1:7\r\n\r\n';
  const ahead = await client(t, made.port('explicit'), { allowHalfOpen: false });
  // The inspectors of this one have run out of time, so those of the one before it would have.
  const silent = await client(t, made.port('explicit'), { allowHalfOpen: false });
  silent.write(request);
  assert.match(await readUntil(silent, 'hello'), /^HTTP\/1\.1 200 /);
  ahead.write(request);
  assert.match(await readUntil(ahead, 'hello'), /^HTTP\/1\.1 200 /);
});
