/** Resumed TLS sessions, with openssl's client and server: what is resumed, and that nothing is that has not been verified by what is in force. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { before, type TestContext, test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { freePort } from '../../../src/lib/free-port.ts';
import { startWorkers } from '../../../src/proxy/workers.ts';
import { EMPTY_SET, encodeSet, updateBetween } from '../../../src/xds/update.ts';
import { needs } from '../tools.ts';
import {
  accessLog,
  certificates,
  client,
  cluster,
  dataPlane,
  folder,
  listener,
  logged,
  readAll,
  resources,
  server,
  socketAddress,
  TLS_INSPECTOR,
  tcpProxy,
  typed,
} from './support.ts';

const certs = mkdtempSync(join(tmpdir(), 'sallyport-certs-'));
const pem = (name: string) => ({ inlineString: readFileSync(join(certs, name), 'utf8') });
const skip = needs('openssl');
const VERSIONS = ['tls1_2', 'tls1_3'] as const;

before(() => {
  if (skip) return;
  certificates(certs, { www: 'DNS:www.example.com', client: 'URI:spiffe://lab/client' });
  certificates(certs, { stranger: 'URI:spiffe://lab/client' }, 'other');
  process.on('exit', () => rmSync(certs, { recursive: true, force: true }));
});

const pair = (name: string): JsonObject => ({ certificateChain: pem(`${name}.crt`), privateKey: pem(`${name}.key`) });
const trusting = (ca: string, more: JsonObject = {}): JsonObject => ({ validationContext: { trustedCa: pem(`${ca}.crt`), ...more } });
const TLS = 'envoy.extensions.transport_sockets.tls.v3';
const AS_CLIENT = ['-cert', join(certs, 'client.crt'), '-key', join(certs, 'client.key')];
const AS_STRANGER = ['-cert', join(certs, 'stranger.crt'), '-key', join(certs, 'stranger.key')];

/** A listener that greets whoever it lets in. */
function greeting(common: JsonObject, more: JsonObject = {}, log?: string): JsonObject {
  const config = { commonTlsContext: { tlsCertificates: [pair('www')], ...common }, ...more };
  return {
    transportSocket: { name: 'tls', typedConfig: typed(`${TLS}.DownstreamTlsContext`, config) },
    filters: [tcpProxy('c', log ? { accessLog: accessLog(log) } : {})],
  };
}

interface Greeted {
  readonly resumed: boolean;
  readonly greeted: boolean;
}

/** A call by openssl that offers the session of this file, if it is there, and keeps the one that it gets. */
async function call(port: number, version: string, session: string, args: readonly string[] = [], offer = true): Promise<Greeted> {
  const options = ['-connect', `127.0.0.1:${port}`, `-${version}`, '-servername', 'www.example.com', '-ign_eof', '-sess_out', session];
  const offered = offer ? ['-sess_in', session] : [];
  const text = await new Promise<string>((resolve) => {
    const child = execFile('openssl', ['s_client', ...options, ...offered, ...args], (_, out) => resolve(out));
    child.stdin!.end();
  });
  return { resumed: /^Reused, TLS/m.test(text), greeted: text.includes('HELLO') };
}

const RESUMED = { resumed: true, greeted: true };
const ANEW = { resumed: false, greeted: true };

for (const version of VERSIONS) {
  test(`clients resume sessions, also after a change of something else (${version})`, { skip }, async (t) => {
    const upstream = await server(t, (socket) => socket.end('HELLO'));
    const session = join(folder(t), 'session');
    const { set, port } = await dataPlane(t);
    const at = { address: socketAddress(await freePort()) };
    const clusters = [cluster('c', [upstream])];
    await set({ listeners: [listener('l', [greeting({})], at)], clusters });
    assert.deepEqual(await call(port('l'), version, session, [], false), ANEW);
    assert.deepEqual(await call(port('l'), version, session), RESUMED);
    const changed = { ...greeting({}), filters: [tcpProxy('c', { maxConnectAttempts: 2 })] };
    await set({ listeners: [listener('l', [changed], at)], clusters });
    assert.deepEqual(await call(port('l'), version, session), RESUMED);
  });

  test(`a session of one thread is resumed in another (${version})`, { skip }, async (t) => {
    const upstream = await server(t, (socket) => socket.end('HELLO'));
    const session = join(folder(t), 'session');
    const port = await freePort();
    const workers = startWorkers({ concurrency: 2, log: () => {}, environment: {} });
    t.after(() => workers.close());
    const json = { listeners: [listener('l', [greeting({})], { address: socketAddress(port) })], clusters: [cluster('c', [upstream])] };
    await workers.apply(updateBetween(EMPTY_SET, encodeSet(resources(json)))!);
    await workers.complete();
    assert.deepEqual(await call(port, version, session, [], false), ANEW);
    const accepted = async () => (await workers.status()).map(({ listeners }) => listeners[0]!.stats.downstreamCxTotal);
    while ((await accepted()).includes(0)) assert.deepEqual(await call(port, version, session), RESUMED);
  });

  test(`a resumed session has the server name that it was made for (${version})`, { skip }, async (t) => {
    const upstream = await server(t, (socket) => socket.end('HELLO'));
    const session = join(folder(t), 'session');
    const log = join(folder(t), 'log');
    const made = await dataPlane(t);
    await made.set({ listeners: [listener('l', [greeting({}, { requireSni: true }, log)])], clusters: [cluster('c', [upstream])] });
    assert.deepEqual(await call(made.port('l'), version, session, [], false), ANEW);
    assert.deepEqual(await call(made.port('l'), version, session), RESUMED);
    assert.deepEqual(
      (await logged(made, log, 2)).map(({ sni }) => sni),
      ['www.example.com', 'www.example.com'],
    );
  });

  test(`a resumed session has its client's identity, and whoever was refused gets in by no session (${version})`, { skip }, async (t) => {
    const upstream = await server(t, (socket) => socket.end('HELLO'));
    const path = folder(t);
    const identity = [
      {
        name: 'file',
        typedConfig: typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', {
          path: join(path, 'log'),
          logFormat: { jsonFormat: { peer: '%DOWNSTREAM_PEER_URI_SAN%' } },
        }),
      },
    ];
    const made = await dataPlane(t);
    const { set, port, plane } = made;
    const san = { matchTypedSubjectAltNames: [{ sanType: 'URI', matcher: { exact: 'spiffe://lab/client' } }] };
    const chain = greeting(trusting('ca', san), { requireClientCertificate: true });
    await set({
      listeners: [listener('l', [{ ...chain, filters: [tcpProxy('c', { accessLog: identity })] }], { listenerFilters: [TLS_INSPECTOR] })],
      clusters: [cluster('c', [upstream])],
    });
    const own = join(path, 'own');
    assert.deepEqual(await call(port('l'), version, own, AS_CLIENT, false), ANEW);
    assert.deepEqual(await call(port('l'), version, own), RESUMED);
    assert.deepEqual(
      (await logged(made, join(path, 'log'), 2)).map(({ peer }) => peer),
      ['spiffe://lab/client', 'spiffe://lab/client'],
    );
    const then = Date.now();
    const clock = t.mock.method(Date, 'now', () => then + 3 * 86_400_000);
    assert.equal((await call(port('l'), version, own)).greeted, false, 'the certificate has expired since');
    clock.mock.restore();
    for (const [name, args] of [
      ['stranger', AS_STRANGER],
      ['nobody', []],
    ] as const) {
      const session = join(path, name);
      assert.equal((await call(port('l'), version, session, args, false)).greeted, false, name);
      // Tickets may have gone out by the time the server has looked at the certificate.
      assert.equal((await call(port('l'), version, session, args, existsSync(session))).greeted, false, `${name} again`);
    }
    assert.equal(plane.status().listeners[0]!.stats.sslHandshakeError, 5);
  });

  test(`no session is resumed once other certificates are asked for (${version})`, { skip }, async (t) => {
    const upstream = await server(t, (socket) => socket.end('HELLO'));
    const session = join(folder(t), 'session');
    const { set, port } = await dataPlane(t);
    const at = { address: socketAddress(await freePort()) };
    const clusters = [cluster('c', [upstream])];
    const secret = (more: JsonObject) => [{ name: 'peers', validationContext: { trustedCa: pem('ca.crt'), ...more } }];
    const sds = { validationContextSdsSecretConfig: { name: 'peers', sdsConfig: { ads: {}, resourceApiVersion: 'V3' } } };
    const required = { requireClientCertificate: true };
    const put = (chain: JsonObject, secrets: JsonObject[]) => set({ listeners: [listener('l', [chain], at)], clusters, secrets });
    const untrusted = { trustChainVerification: 'ACCEPT_UNTRUSTED' };
    await put(greeting(sds, required), secret(untrusted));
    assert.deepEqual(await call(port('l'), version, session, AS_STRANGER, false), ANEW);
    assert.deepEqual(await call(port('l'), version, session, AS_STRANGER), RESUMED);
    const refused = async () => assert.equal((await call(port('l'), version, session, AS_STRANGER)).greeted, false);
    await put(greeting(sds, required), secret({}));
    await refused();
    await put(greeting(sds, required), secret({ ...untrusted, matchSubjectAltNames: [{ exact: 'spiffe://lab/other' }] }));
    await refused();
    await put(greeting(sds, required), secret({ ...untrusted, matchSubjectAltNames: [{ exact: 'SPIFFE://lab/client' }] }));
    await refused();
    await put(greeting(trusting('ca'), required), secret(untrusted));
    await refused();
    await put(greeting({}), secret(untrusted));
    assert.deepEqual(await call(port('l'), version, session), ANEW);
    await put(greeting(sds, required), secret(untrusted));
    assert.equal((await call(port('l'), version, session)).greeted, false, 'made where no certificate was asked for');
  });

  test(`no tickets where the listener says so (${version})`, { skip }, async (t) => {
    const upstream = await server(t, (socket) => socket.end('HELLO'));
    const session = join(folder(t), 'session');
    const { set, port } = await dataPlane(t);
    const chain = greeting({}, { disableStatelessSessionResumption: true });
    await set({ listeners: [listener('l', [chain])], clusters: [cluster('c', [upstream])] });
    assert.deepEqual(await call(port('l'), version, session, [], false), ANEW);
    assert.deepEqual(await call(port('l'), version, session), ANEW);
  });
}

/** openssl's server; it answers with what it says of the connection. */
async function upstreamServer(t: TestContext, version: string, args: readonly string[] = []): Promise<number> {
  const own = ['-cert', join(certs, 'www.crt'), '-key', join(certs, 'www.key')];
  const child = spawn('openssl', ['s_server', '-accept', '127.0.0.1:0', `-${version}`, '-www', ...own, ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.after(() => child.kill());
  const lines = createInterface(child.stdout);
  for await (const line of lines) {
    const port = /^ACCEPT 127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    if (port) return Number(port);
  }
  throw new Error('openssl s_server has ended');
}

const upstreamTls = (common: JsonObject, more: JsonObject = {}): JsonObject => ({
  transportSocket: {
    name: 'tls',
    typedConfig: typed(`${TLS}.UpstreamTlsContext`, { commonTlsContext: common, sni: 'www.example.com', ...more }),
  },
});

/** What became of a call through the listener: whether the upstream resumed a session, or nothing came of it. */
async function through(t: TestContext, port: number): Promise<'resumed' | 'anew' | 'refused'> {
  const socket = await client(t, port);
  socket.write('GET / HTTP/1.0\r\n\r\n');
  const text = (await readAll(socket)).toString();
  socket.destroy();
  if (text === '') return 'refused';
  return /^Reused, TLS/m.test(text) ? 'resumed' : 'anew';
}

for (const version of VERSIONS) {
  test(`sessions with upstreams are resumed, for an hour and where they may be kept (${version})`, { skip }, async (t) => {
    const upstream = await upstreamServer(t, version);
    const { set, port } = await dataPlane(t);
    const common = trusting('ca', { matchTypedSubjectAltNames: [{ sanType: 'DNS', matcher: { exact: 'www.example.com' } }] });
    await set({
      listeners: [listener('l', [{ filters: [tcpProxy('c')] }]), listener('none', [{ filters: [tcpProxy('none')] }])],
      clusters: [cluster('c', [upstream], upstreamTls(common)), cluster('none', [upstream], upstreamTls(common, { maxSessionKeys: 0 }))],
    });
    assert.equal(await through(t, port('l')), 'anew');
    assert.equal(await through(t, port('l')), 'resumed');
    assert.equal(await through(t, port('none')), 'anew');
    assert.equal(await through(t, port('none')), 'anew');
    const then = Date.now();
    const clock = t.mock.method(Date, 'now', () => then + 3_590_000);
    assert.equal(await through(t, port('l')), 'resumed');
    clock.mock.mockImplementation(() => then + 3_601_000);
    assert.equal(await through(t, port('l')), 'anew', 'the peer is verified anew, whatever was resumed meanwhile');
    assert.equal(await through(t, port('l')), 'resumed');
  });

  test(`no session with an upstream is resumed that what is in force now would not have let in (${version})`, { skip }, async (t) => {
    const upstream = await upstreamServer(t, version);
    const { set, port } = await dataPlane(t);
    const listeners = [listener('l', [{ filters: [tcpProxy('c')] }], { address: socketAddress(await freePort()) })];
    const sds = { validationContextSdsSecretConfig: { name: 'peers', sdsConfig: { ads: {}, resourceApiVersion: 'V3' } } };
    const put = (common: JsonObject, peers: JsonObject) =>
      set({ listeners, clusters: [cluster('c', [upstream], upstreamTls(common))], secrets: [{ name: 'peers', validationContext: peers }] });
    const ask = () => through(t, port('l'));
    const untrusted = { trustedCa: pem('other.crt'), trustChainVerification: 'ACCEPT_UNTRUSTED' };
    const named = (exact: string) => ({ trustedCa: pem('ca.crt'), matchSubjectAltNames: [{ exact }] });
    const [right, wrong] = [named('www.example.com'), named('x.example.com')];
    await put(sds, untrusted);
    assert.deepEqual([await ask(), await ask()], ['anew', 'resumed']);
    await put(sds, { trustedCa: pem('other.crt') });
    assert.equal(await ask(), 'refused', 'the chain is verified now');
    await put(sds, right);
    assert.deepEqual([await ask(), await ask()], ['anew', 'resumed']);
    await put(sds, wrong);
    assert.equal(await ask(), 'refused', 'another name is expected');
    await put({ validationContext: right }, wrong);
    assert.deepEqual([await ask(), await ask()], ['anew', 'resumed']);
    await put({ validationContext: wrong }, wrong);
    assert.equal(await ask(), 'refused');
  });
}
