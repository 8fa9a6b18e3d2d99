import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { createAuthority, type KeyPair } from '../../demo/certificates.ts';
import { ClusterSchema } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { typeRegistry } from '../../xds/type-registry.ts';
import type { StreamSocket } from '../net/stream-socket.ts';
import { MaterialStore } from '../tls/material.ts';
import type { UpstreamConnectOptions, UpstreamFailure } from '../types.ts';
import { UpstreamCluster } from './cluster.ts';

/** PEM of who signed `pair`. */
let authority: string;
let pair: KeyPair;
before(async () => {
  const ca = await createAuthority('test', Date.now());
  authority = ca.certificate;
  pair = await ca.issue(['www.example.com']);
});

const HTTP = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const TLS = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';

const overTls = (options: JsonObject = {}): JsonObject => ({
  transportSocket: { name: 'tls', typedConfig: { '@type': `type.googleapis.com/${TLS}`, ...options } },
});
const withHttp = (options: JsonObject): JsonObject => ({
  typedExtensionProtocolOptions: { [HTTP]: { '@type': `type.googleapis.com/${HTTP}`, ...options } },
});

/** Listens at a free port of 127.0.0.1, or at a socket's path, until the test ends. */
async function listen(t: TestContext, server: Server, path?: string): Promise<number> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('error', () => undefined).on('close', () => open.delete(socket));
  });
  server.listen(path === undefined ? { port: 0, host: '127.0.0.1' } : { path });
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  return path === undefined ? (server.address() as AddressInfo).port : 0;
}

async function tlsServer(t: TestContext, protocols: string[]) {
  const server = createTlsServer({ cert: pair.certificate, key: pair.key, ALPNProtocols: protocols }).on('tlsClientError', () => undefined);
  return { server, port: await listen(t, server) };
}

/** A cluster with one host, at a port of 127.0.0.1 or a socket's path. */
function clusterAt(t: TestContext, at: number | string, more: JsonObject = {}): UpstreamCluster {
  const address: JsonObject = typeof at === 'string' ? { pipe: { path: at } } : { socketAddress: { address: '127.0.0.1', portValue: at } };
  const config = {
    name: 'c',
    type: 'STATIC',
    loadAssignment: { clusterName: 'c', endpoints: [{ lbEndpoints: [{ endpoint: { address } }] }] },
  };
  const resolver = { resolve: () => assert.fail('nobody uses a name'), close: () => undefined };
  const environment = { resolver, now: () => 0, store: new MaterialStore(), random: () => 0, internal: () => undefined };
  const cluster = new UpstreamCluster(fromJson(ClusterSchema, { ...config, ...more }, { registry: typeRegistry }), undefined, environment);
  t.after(() => cluster.close());
  return cluster;
}

interface Connected {
  readonly failure: UpstreamFailure | undefined;
  readonly socket: StreamSocket;
  readonly alpn: string;
  readonly closed: Promise<unknown>;
}

function connect(t: TestContext, cluster: UpstreamCluster, options: Partial<UpstreamConnectOptions> = {}): Promise<Connected> {
  const [host] = cluster.hosts;
  return new Promise((resolve) => {
    cluster.connect(host!, { downstream: undefined, authority: undefined, ...options }, (failure, socket, alpn) => {
      t.after(() => socket.destroy());
      resolve({ failure, socket, alpn, closed: new Promise<void>((close) => socket.once('close', close)) });
    });
  });
}

function counted(cluster: UpstreamCluster) {
  const [host] = cluster.hosts;
  const { upstreamCxTotal: total, upstreamCxActive: active, upstreamCxConnectFail: failed } = cluster.stats;
  return { total, active, failed, ofHost: host!.connections, ofLimit: cluster.limits.connections.used };
}

test('a socket’s path is called as one, whatever source address the cluster has', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'connect-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 's');
  const bound = { upstreamBindConfig: { sourceAddress: { address: '127.0.0.2', portValue: 0 } } };
  const missing = await connect(t, clusterAt(t, path, bound));
  assert.deepEqual(missing.failure, { kind: 'connect', reason: 'delayed connect error: No such file or directory' });
  await listen(t, createServer(), path);
  assert.equal((await connect(t, clusterAt(t, path, bound))).failure, undefined);
});

for (const nodeSocket of [false, true]) {
  const check = (name: string, body: (t: TestContext) => Promise<void>) => test(nodeSocket ? `${name} (as a net.Socket)` : name, body);

  check('a connection counts from when it is made until it is closed, and its bytes then', async (t) => {
    const port = await listen(
      t,
      createServer((socket) => socket.once('data', () => socket.end('answer'))),
    );
    const cluster = clusterAt(t, port);
    const { failure, socket, alpn, closed } = await connect(t, cluster, { nodeSocket });
    assert.deepEqual([failure, alpn, socket instanceof Socket], [undefined, '', nodeSocket]);
    assert.deepEqual(counted(cluster), { total: 1, active: 1, failed: 0, ofHost: 1, ofLimit: 1 });
    socket.on('data', () => undefined);
    socket.resume();
    socket.write('ask');
    await closed;
    assert.deepEqual(counted(cluster), { total: 1, active: 0, failed: 0, ofHost: 0, ofLimit: 0 });
    assert.deepEqual([cluster.stats.upstreamCxTxBytes, cluster.stats.upstreamCxRxBytes], [3, 6]);
  });

  check('a port at which nobody listens: the failure is told in the system’s words, and counted', async (t) => {
    const server = createServer();
    const port = await listen(t, server);
    await new Promise((resolve) => server.close(resolve));
    const cluster = clusterAt(t, port);
    const { failure, closed } = await connect(t, cluster, { nodeSocket });
    assert.deepEqual(failure, { kind: 'connect', reason: 'delayed connect error: Connection refused' });
    await closed;
    assert.deepEqual(counted(cluster), { total: 1, active: 0, failed: 1, ofHost: 0, ofLimit: 0 });
  });

  check('connections come from the cluster’s source address', async (t) => {
    const server = createServer();
    const port = await listen(t, server);
    for (const [bound, address] of [
      [{}, '127.0.0.1'],
      [{ upstreamBindConfig: { sourceAddress: { address: '127.0.0.2', portValue: 0 } } }, '127.0.0.2'],
    ] as const) {
      const connection = once(server, 'connection');
      await connect(t, clusterAt(t, port, bound), { nodeSocket });
      assert.equal(((await connection)[0] as Socket).remoteAddress, address);
    }
  });

  check('only who handles it keeps a connection of which the server has closed its direction', async (t) => {
    const clients: Socket[] = [];
    const port = await listen(
      t,
      createServer({ allowHalfOpen: true }, (client) => clients.push(client.end())),
    );
    const open = await connect(t, clusterAt(t, port), { halfOpen: true, nodeSocket });
    const ended = new Promise<void>((end) => open.socket.once('end', end));
    open.socket.resume();
    await ended;
    open.socket.write('still');
    assert.equal(String((await once(clients[0]!, 'data'))[0]), 'still');
    const other = await connect(t, clusterAt(t, port), { nodeSocket });
    other.socket.resume();
    await other.closed;
  });

  check('an address from which it cannot come is told', async (t) => {
    const bound = { upstreamBindConfig: { sourceAddress: { address: '192.0.2.1', portValue: 0 } } };
    const { failure, closed } = await connect(t, clusterAt(t, 9, bound), { nodeSocket });
    assert.deepEqual(failure, { kind: 'connect', reason: 'delayed connect error: Cannot assign requested address' });
    await closed;
  });

  check('one that is given up before it is there is closed, and nobody hears of it', async (t) => {
    const cluster = clusterAt(t, await listen(t, createServer()));
    const [host] = cluster.hosts;
    const abandon = cluster.connect(host!, { downstream: undefined, authority: undefined, nodeSocket }, () =>
      assert.fail('nobody hears of it'),
    );
    abandon();
    while (counted(cluster).active > 0) await new Promise((resolve) => setImmediate(resolve));
    abandon();
    assert.deepEqual(counted(cluster), { total: 1, active: 0, failed: 0, ofHost: 0, ofLimit: 0 });
  });
}

test('protocols are offered as the cluster speaks HTTP, none to who handles bytes, and what the call says before all', async (t) => {
  const { port } = await tlsServer(t, ['h2', 'http/1.1', 'other']);
  const explicit = (protocol: string) => withHttp({ explicitHttpConfig: { [protocol]: {} } });
  const chosen = async (more: JsonObject, options: Partial<UpstreamConnectOptions> = {}) =>
    (await connect(t, clusterAt(t, port, { ...overTls(), ...more }), options)).alpn;
  assert.equal(await chosen({}), 'http/1.1');
  assert.equal(await chosen(explicit('httpProtocolOptions')), 'http/1.1');
  assert.equal(await chosen(explicit('http2ProtocolOptions')), 'h2');
  assert.equal(await chosen(withHttp({ autoConfig: {} })), 'h2');
  assert.equal(await chosen(withHttp({ useDownstreamProtocolConfig: {} })), 'http/1.1');
  assert.equal(await chosen({}, { halfOpen: true }), '');
  assert.equal(await chosen({}, { halfOpen: true, alpn: ['other'] }), 'other');
  assert.equal(await chosen(overTls({ commonTlsContext: { alpnProtocols: ['h2'] } }), { alpn: ['other'] }), 'h2');
});

test('auto_sni asks for the host of the request, which else nobody does', async (t) => {
  const { server, port } = await tlsServer(t, ['http/1.1']);
  const autoSni = withHttp({ upstreamHttpProtocolOptions: { autoSni: true } });
  const askedFor = async (more: JsonObject, authority?: string) => {
    const secured = once(server, 'secureConnection');
    await connect(t, clusterAt(t, port, more), { authority });
    return ((await secured)[0] as { servername?: string | false }).servername;
  };
  assert.equal(await askedFor({ ...overTls(), ...autoSni }, 'WWW.Example.com:8443'), 'www.example.com');
  const named = overTls({ sni: 'other.example.com' });
  assert.equal(await askedFor({ ...named, ...autoSni }, '192.0.2.1:8443'), 'other.example.com', 'an address is no name');
  assert.equal(await askedFor({ ...named, ...autoSni }), 'other.example.com');
  assert.equal(await askedFor(named, 'www.example.com'), 'other.example.com');
  assert.equal(await askedFor(overTls(), 'www.example.com'), false);
});

test('auto_san_validation holds the certificate against the host of the request', async (t) => {
  const { port } = await tlsServer(t, ['http/1.1']);
  const trusted = { trustedCa: { inlineString: authority } };
  const validating = {
    ...overTls({ commonTlsContext: { validationContext: trusted } }),
    ...withHttp({ upstreamHttpProtocolOptions: { autoSni: true, autoSanValidation: true } }),
  };
  const cluster = clusterAt(t, port, validating);
  assert.equal((await connect(t, cluster, { authority: 'www.example.com' })).failure, undefined);
  const { failure, closed } = await connect(t, cluster, { authority: 'api.example.com' });
  assert.match(JSON.stringify(failure), /"kind":"tls".*SAN/i);
  await closed;
  assert.equal(cluster.stats.upstreamCxConnectFail, 1);
});

test('beside auto_san_validation a certificate needs one of the names that are asked for, too', async (t) => {
  const { port } = await tlsServer(t, ['http/1.1']);
  const failureWith = async (exact: string) => {
    const validationContext = { trustedCa: { inlineString: authority }, matchSubjectAltNames: [{ exact }] };
    const cluster = clusterAt(t, port, {
      ...overTls({ commonTlsContext: { validationContext } }),
      ...withHttp({ upstreamHttpProtocolOptions: { autoSni: true, autoSanValidation: true } }),
    });
    return JSON.stringify((await connect(t, cluster, { authority: 'www.example.com' })).failure);
  };
  assert.equal(await failureWith('www.example.com'), undefined);
  assert.match(await failureWith('www.example.org'), /expected SANs: \[www\.example\.org\]/);
});

test('what ends a handshake is told: a close, a reset, bytes of something else, a secret that has not come', async (t) => {
  const failureWith = async (answer: (socket: Socket) => void, more = overTls()) => {
    const cluster = clusterAt(
      t,
      await listen(
        t,
        createServer((socket) => socket.once('data', () => answer(socket))),
      ),
      more,
    );
    const { failure, closed } = await connect(t, cluster);
    await closed;
    assert.deepEqual(counted(cluster), { total: 1, active: 0, failed: 1, ofHost: 0, ofLimit: 0 });
    return failure;
  };
  const reset = { kind: 'tls', reason: 'connection reset during the TLS handshake' };
  assert.deepEqual(await failureWith((socket) => socket.end()), reset, 'node tells an end as a reset');
  assert.deepEqual(await failureWith((socket) => socket.resetAndDestroy()), reset);
  assert.match(JSON.stringify(await failureWith((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))), /WRONG_VERSION_NUMBER/);
  const secret = { commonTlsContext: { tlsCertificateSdsSecretConfigs: [{ name: 's', sdsConfig: { ads: {} } }] } };
  const cluster = clusterAt(t, 9, overTls(secret));
  const { failure } = await connect(t, cluster);
  assert.deepEqual(failure, { kind: 'tls', reason: 'TLS_error: Secret is not supplied by SDS' });
});

test('the cluster’s timeout holds until the handshake is through', async (t) => {
  const server = createServer();
  const cluster = clusterAt(t, await listen(t, server), { ...overTls(), connectTimeout: '0.050s' });
  const { failure, closed } = await connect(t, cluster);
  assert.deepEqual(failure, { kind: 'connect-timeout' });
  await closed;
  assert.deepEqual(counted(cluster), { total: 1, active: 0, failed: 1, ofHost: 0, ofLimit: 0 });
});

test('a connection that is abandoned is closed, and nobody hears of it', async (t) => {
  const server = createServer();
  const port = await listen(t, server);
  const cluster = clusterAt(t, port, overTls());
  const [host] = cluster.hosts;
  const connection = once(server, 'connection');
  const abandon = cluster.connect(host!, { downstream: undefined, authority: undefined }, () => assert.fail('nobody hears of it'));
  const [socket] = (await connection) as [Socket];
  abandon();
  await once(socket.resume(), 'close');
  abandon();
  assert.deepEqual(counted(cluster), { total: 1, active: 0, failed: 0, ofHost: 0, ofLimit: 0 });
});
