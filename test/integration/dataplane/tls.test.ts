import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { type ConnectionOptions, createServer as createTlsServer, type TLSSocket, type TlsOptions, connect as tlsConnect } from 'node:tls';
import type { JsonObject } from '@bufbuild/protobuf';
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
  readAll,
  readUntil,
  server,
  TLS_INSPECTOR,
  tcpProxy,
  typed,
} from './support.ts';

const certs = mkdtempSync(join(tmpdir(), 'sallyport-certs-'));
const pem = (name: string) => readFileSync(join(certs, name), 'utf8');

before(() => {
  certificates(certs, { www: 'DNS:www.example.com', wild: 'DNS:*.example.org', client: 'URI:spiffe://lab/client,DNS:client.example.com' });
  certificates(certs, { stranger: 'DNS:www.example.com' }, 'other');
  process.on('exit', () => rmSync(certs, { recursive: true, force: true }));
});

const pair = (name: string): JsonObject => ({
  certificateChain: { inlineString: pem(`${name}.crt`) },
  privateKey: { inlineString: pem(`${name}.key`) },
});

function downstreamTls(common: JsonObject, more: JsonObject = {}): JsonObject {
  const type = 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext';
  return { name: 'tls', typedConfig: typed(type, { commonTlsContext: common, ...more }) };
}

function upstreamTls(common: JsonObject, more: JsonObject = {}): JsonObject {
  const type = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';
  return { transportSocket: { name: 'tls', typedConfig: typed(type, { commonTlsContext: common, ...more }) } };
}

/** A handshake through the proxy; rejects if it fails. */
async function handshake(t: TestContext, port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = tlsConnect({ port, host: '127.0.0.1', ca: pem('ca.crt'), ...options });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  socket.on('error', () => {});
  return socket;
}

async function tlsServer(t: TestContext, options: TlsOptions): Promise<number> {
  const made = createTlsServer(options, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (data: Buffer) => socket.write(`${socket.servername || '-'} ${socket.alpnProtocol || '-'} ${data}`));
    socket.on('end', () => socket.end());
  });
  made.on('tlsClientError', () => {});
  made.listen(0, '127.0.0.1');
  await once(made, 'listening');
  t.after(() => made.close());
  return (made.address() as AddressInfo).port;
}

test('SNI chooses chain and certificate; ALPN is negotiated; unknown names and plain bytes are closed', async (t) => {
  const echo = await echoServer(t);
  const log = join(folder(t), 'log');
  const made = await dataPlane(t);
  const { set, port } = made;
  const chain = (serverNames: string[], name: string) => ({
    filterChainMatch: { serverNames },
    transportSocket: downstreamTls({ tlsCertificates: [pair(name)], alpnProtocols: ['h2', 'http/1.1'] }),
    filters: [tcpProxy('c', { accessLog: accessLog(log) })],
  });
  const { rejected } = await set({
    listeners: [
      listener('l', [chain(['www.example.com'], 'www'), chain(['*.example.org'], 'wild')], {
        listenerFilters: [TLS_INSPECTOR],
        accessLog: accessLog(log),
      }),
    ],
    clusters: [cluster('c', [echo])],
  });
  assert.deepEqual(rejected, []);
  const www = await handshake(t, port('l'), { servername: 'WWW.example.com', ALPNProtocols: ['http/1.1'] });
  assert.equal(www.getPeerCertificate().subjectaltname, 'DNS:www.example.com');
  assert.equal(www.alpnProtocol, 'http/1.1');
  www.write('hello\n');
  assert.equal(await readUntil(www, '\n'), 'hello\n');
  www.end();
  await once(www, 'close');
  const wild = await handshake(t, port('l'), { servername: 'a.example.org', ALPNProtocols: ['spdy'] });
  assert.equal(wild.getPeerCertificate().subjectaltname, 'DNS:*.example.org');
  assert.equal(wild.alpnProtocol, false, 'without a common protocol there is none');
  wild.write('y\n');
  assert.equal(await readUntil(wild, '\n'), 'y\n');
  wild.end();
  await assert.rejects(handshake(t, port('l'), { servername: 'cdn.example.com' }));
  const plain = await client(t, port('l'));
  plain.write('GET / HTTP/1.1\r\n\r\n');
  // As Envoy, which has not read what told it: the proxy before this one logs UR.
  const [error] = (await once(plain, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
  const lines = await logged(made, log, 4);
  assert.deepEqual(
    lines.filter(({ flags }) => flags === 'NR').map(({ sni, details }) => [sni, details]),
    [
      ['cdn.example.com', 'filter_chain_not_found'],
      [null, 'filter_chain_not_found'],
    ],
  );
  assert.equal(lines.find(({ flags }) => flags !== 'NR')?.sni, 'www.example.com');
});

test('TLS is passed through by SNI, also when the hello comes byte by byte', async (t) => {
  const upstream = await tlsServer(t, { cert: pem('www.crt'), key: pem('www.key'), ALPNProtocols: ['h2'] });
  const { set, port } = await dataPlane(t);
  await set({
    listeners: [
      listener('l', [{ filterChainMatch: { serverNames: ['www.example.com'] }, filters: [tcpProxy('c')] }], {
        listenerFilters: [TLS_INSPECTOR],
      }),
    ],
    clusters: [cluster('c', [upstream])],
  });
  const raw = await client(t, port('l'), { noDelay: true });
  // A socket between node's TLS and the wire that writes one byte at a time.
  const { Duplex } = await import('node:stream');
  const slow = new Duplex({
    write(piece: Buffer, _encoding, done) {
      for (const byte of piece) raw.write(Buffer.from([byte]));
      done();
    },
    read() {},
  });
  raw.on('data', (data: Buffer) => slow.push(data));
  const socket = tlsConnect({ socket: slow, servername: 'www.example.com', ca: pem('ca.crt'), ALPNProtocols: ['h2'] });
  await once(socket, 'secureConnect');
  assert.equal(socket.authorized, true);
  socket.write('x\n');
  assert.equal(await readUntil(socket, '\n'), 'www.example.com h2 x\n');
});

test('a hello that never ends, and one that is too large, are closed', async (t) => {
  const { set, port, plane } = await dataPlane(t);
  const filters = [tcpProxy('none')];
  await set({ listeners: [listener('l', [{ filters }], { listenerFilters: [TLS_INSPECTOR], listenerFiltersTimeout: '0.05s' })] });
  const hanging = await client(t, port('l'));
  hanging.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1]));
  assert.equal((await readAll(hanging)).length, 0);
  const large = await client(t, port('l'));
  large.write(Buffer.from([22, 3, 1, 0x40, 0, 1, 0x10, 0, 0]));
  assert.equal((await readAll(large)).length, 0);
  assert.equal(plane.status().listeners[0]?.stats.downstreamPreCxTimeout, 1);
});

test('after the timeout a listener may go on with what it knows', async (t) => {
  const upstream = await server(t, (socket) => socket.end('HELLO'));
  const { set, port } = await dataPlane(t);
  const more = { listenerFilters: [TLS_INSPECTOR], listenerFiltersTimeout: '0.05s', continueOnListenerFiltersTimeout: true };
  await set({ listeners: [listener('l', [{ filters: [tcpProxy('c')] }], more)], clusters: [cluster('c', [upstream])] });
  assert.equal((await readAll(await client(t, port('l')))).toString(), 'HELLO');
});

test('client certificates are demanded, verified, and matched by name', async (t) => {
  const echo = await echoServer(t);
  const { set, port, plane } = await dataPlane(t);
  const chain = (validation: JsonObject) => [
    {
      transportSocket: downstreamTls(
        { tlsCertificates: [pair('www')], validationContext: { trustedCa: { inlineString: pem('ca.crt') }, ...validation } },
        { requireClientCertificate: true },
      ),
      filters: [tcpProxy('c')],
    },
  ];
  const san = (exact: string) => ({ matchTypedSubjectAltNames: [{ sanType: 'URI', matcher: { exact } }] });
  const { rejected } = await set({
    listeners: [
      listener('any', chain({})),
      listener('named', chain(san('spiffe://lab/client'))),
      listener('other', chain(san('spiffe://lab/server'))),
    ],
    clusters: [cluster('c', [echo])],
  });
  assert.deepEqual(rejected, []);
  const own = { cert: pem('client.crt'), key: pem('client.key'), servername: 'www.example.com' };
  const stranger = { cert: pem('stranger.crt'), key: pem('stranger.key'), servername: 'www.example.com' };
  const answered = async (name: string, options: ConnectionOptions): Promise<boolean> => {
    const socket = await handshake(t, port(name), options);
    socket.write('x\n');
    return readUntil(socket, '\n').then(
      () => true,
      () => false,
    );
  };
  assert.equal(await answered('any', own), true);
  assert.equal(await answered('named', own), true);
  assert.equal(await answered('other', own), false);
  assert.equal(await answered('any', stranger), false);
  assert.equal(await answered('any', { servername: 'www.example.com' }), false);
  assert.deepEqual(
    plane.status().listeners.map(({ stats }) => stats.sslHandshakeError),
    [2, 0, 1],
  );
});

test('a secret that is missing closes the connection, and comes into force when it comes', async (t) => {
  const echo = await echoServer(t);
  const { set, port } = await dataPlane(t);
  const ads = { ads: {}, resourceApiVersion: 'V3' };
  const json = {
    listeners: [
      listener('l', [
        { transportSocket: downstreamTls({ tlsCertificateSdsSecretConfigs: [{ name: 's', sdsConfig: ads }] }), filters: [tcpProxy('c')] },
      ]),
    ],
    clusters: [cluster('c', [echo])],
  };
  assert.deepEqual((await set(json)).rejected, []);
  const options = { servername: 'www.example.com' };
  await assert.rejects(handshake(t, port('l'), options));
  const bad = await set({
    ...json,
    secrets: [
      {
        name: 's',
        tlsCertificate: { certificateChain: { inlineString: pem('www.crt') }, privateKey: { inlineString: pem('client.key') } },
      },
    ],
  });
  assert.match(bad.rejected[0]!.message, /secret "s".*key values mismatch/);
  await assert.rejects(handshake(t, port('l'), options));
  await set({ ...json, secrets: [{ name: 's', tlsCertificate: pair('www') }] });
  const socket = await handshake(t, port('l'), options);
  socket.write('x\n');
  assert.equal(await readUntil(socket, '\n'), 'x\n');
});

test('TLS to upstreams: SNI, ALPN, verification and client certificates, with the reason of each failure', async (t) => {
  const upstream = await tlsServer(t, { cert: pem('www.crt'), key: pem('www.key'), ALPNProtocols: ['h2', 'http/1.1'] });
  const mutual = await tlsServer(t, {
    cert: pem('www.crt'),
    key: pem('www.key'),
    ca: pem('ca.crt'),
    requestCert: true,
    rejectUnauthorized: true,
  });
  const plain = await server(t, (socket) => socket.end('not TLS at all\n'));
  const ca = { inlineString: pem('ca.crt') };
  const trusted = (names: string[]) => ({
    validationContext: { trustedCa: ca, matchTypedSubjectAltNames: names.map((exact) => ({ sanType: 'DNS', matcher: { exact } })) },
  });
  const clusters: Record<string, [number, JsonObject]> = {
    good: [upstream, upstreamTls({ ...trusted(['www.example.com']), alpnProtocols: ['http/1.1'] }, { sni: 'www.example.com' })],
    unverified: [upstream, upstreamTls({})],
    'wrong-name': [upstream, upstreamTls(trusted(['x.example.com']), { sni: 'www.example.com' })],
    'wrong-ca': [upstream, upstreamTls({ validationContext: { trustedCa: { inlineString: pem('other.crt') } } })],
    'no-secret': [upstream, upstreamTls({ tlsCertificateSdsSecretConfigs: [{ name: 'none', sdsConfig: { ads: {} } }] })],
    'with-certificate': [mutual, upstreamTls({ ...trusted([]), tlsCertificates: [pair('client')] })],
    'without-certificate': [mutual, upstreamTls(trusted([]))],
    plain: [plain, upstreamTls({})],
  };
  const log = join(folder(t), 'log');
  const made = await dataPlane(t);
  const { set, port } = made;
  const { rejected } = await set({
    listeners: Object.keys(clusters).map((name) => listener(name, [{ filters: [tcpProxy(name, { accessLog: accessLog(log) })] }])),
    clusters: Object.entries(clusters).map(([name, [at, more]]) => cluster(name, [at], more)),
  });
  assert.deepEqual(rejected, []);
  const ask = async (name: string): Promise<string> => {
    const socket = await client(t, port(name));
    socket.end('x\n');
    const text = (await readAll(socket)).toString();
    if (!socket.closed) await once(socket, 'close');
    return text;
  };
  assert.equal(await ask('good'), 'www.example.com http/1.1 x\n');
  assert.equal(await ask('good'), 'www.example.com http/1.1 x\n', 'with a resumed session too');
  assert.equal(await ask('unverified'), '- - x\n');
  assert.equal(await ask('with-certificate'), '- - x\n');
  for (const name of ['wrong-name', 'wrong-ca', 'no-secret', 'without-certificate', 'plain']) assert.equal(await ask(name), '', name);
  const reasons = new Map((await logged(made, log, 9)).map((line) => [line.cluster, [line.flags, line.reason]]));
  const failed = (text: string) => ['UF,URX', text];
  const verify = 'TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_';
  assert.deepEqual(
    reasons.get('wrong-name'),
    failed(`${verify}verify_SAN_list,_expected_SANs:_[x.example.com],_certificate_SANs:_[www.example.com]:TLS_error_end`),
  );
  assert.deepEqual(
    reasons.get('wrong-ca'),
    failed(`${verify}X509_verify_cert:_certificate_verification_error_at_depth_0:_unable_to_get_local_issuer_certificate:TLS_error_end`),
  );
  assert.deepEqual(reasons.get('no-secret'), failed('TLS_error:_Secret_is_not_supplied_by_SDS'));
  assert.equal(reasons.get('plain')?.[0], 'UF,URX');
  assert.match(String(reasons.get('plain')?.[1]), /^TLS_error:\|.*WRONG_VERSION_NUMBER.*:TLS_error_end$/);
});

test('certificate files are read again when they change', async (t) => {
  const { copyFileSync } = await import('node:fs');
  const path = folder(t);
  const use = (name: string) => {
    copyFileSync(join(certs, `${name}.key`), join(path, 'tls.key'));
    copyFileSync(join(certs, `${name}.crt`), join(path, 'tls.crt'));
  };
  use('www');
  const echo = await echoServer(t);
  const { set, port } = await dataPlane(t);
  const certificate = { certificateChain: { filename: join(path, 'tls.crt') }, privateKey: { filename: join(path, 'tls.key') } };
  await set({
    listeners: [listener('l', [{ transportSocket: downstreamTls({ tlsCertificates: [certificate] }), filters: [tcpProxy('c')] }])],
    clusters: [cluster('c', [echo])],
  });
  const names = async () => {
    const socket = await handshake(t, port('l'), { servername: 'a.example.org', rejectUnauthorized: false });
    const { subjectaltname } = socket.getPeerCertificate();
    socket.destroy();
    return subjectaltname;
  };
  assert.equal(await names(), 'DNS:www.example.com');
  use('wild');
  while ((await names().catch(() => 'being replaced')) !== 'DNS:*.example.org') await new Promise((resolve) => setImmediate(resolve));
});

test('TLS 1.2: no suites without forward secrecy and authenticated encryption unless they are asked for, and no renegotiation', async (t) => {
  const upstream = await echoServer(t);
  const { set, port } = await dataPlane(t);
  const common = { tlsCertificates: [pair('www')] };
  const chain = (params: JsonObject) => [{ filters: [tcpProxy('c')], transportSocket: downstreamTls({ ...common, ...params }) }];
  await set({
    listeners: [listener('plain', chain({})), listener('old', chain({ tlsParams: { cipherSuites: ['ECDHE-ECDSA-AES128-SHA'] } }))],
    clusters: [cluster('c', [upstream])],
  });
  const old = { servername: 'www.example.com', maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' } as const;
  await assert.rejects(handshake(t, port('plain'), old), /handshake failure/);
  assert.equal((await handshake(t, port('old'), old)).getCipher().name, 'ECDHE-ECDSA-AES128-SHA');
  const socket = await handshake(t, port('plain'), { servername: 'www.example.com', maxVersion: 'TLSv1.2' });
  const refused = await new Promise<Error | null>((resolve) => {
    socket.renegotiate({}, resolve);
    socket.once('close', () => resolve(new Error('closed')));
    socket.once('error', resolve);
  });
  assert.ok(refused, 'it is refused');
});
