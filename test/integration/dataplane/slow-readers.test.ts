/** What comes over TLS faster than it can be passed on: every byte arrives, in its order, however slowly it is read. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls';
import type { JsonObject } from '@bufbuild/protobuf';
import { certificates, client, cluster, dataPlane, listener, server, tcpProxy, typed } from './support.ts';

const certs = mkdtempSync(join(tmpdir(), 'sallyport-certs-'));
const pem = (name: string) => readFileSync(join(certs, name), 'utf8');

before(() => {
  certificates(certs, { www: 'DNS:www.example.com' });
  process.on('exit', () => rmSync(certs, { recursive: true, force: true }));
});

/** Each four bytes say where they belong. */
const NUMBERED = Buffer.alloc(16 * 1024 * 1024);
for (let at = 0; at < NUMBERED.length; at += 4) NUMBERED.writeUInt32BE(at / 4, at);

/** Reads a piece a turn of the event loop, so that what is written has to wait again and again. */
async function readSlowly(socket: Socket): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of socket) {
    pieces.push(piece as Buffer);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return Buffer.concat(pieces);
}

function assertWhole(got: Buffer): void {
  assert.equal(got.length, NUMBERED.length);
  const wrong = got.findIndex((byte, at) => byte !== NUMBERED[at]);
  assert.equal(wrong, -1, 'the first byte that is another');
}

const tls = (type: string, common: JsonObject): JsonObject => ({
  name: 'tls',
  typedConfig: typed(`envoy.extensions.transport_sockets.tls.v3.${type}`, { commonTlsContext: common }),
});

test('a client over TLS that sends faster than the server reads', { timeout: 60_000 }, async (t) => {
  let got = (_socket: Socket): void => undefined;
  const accepted = new Promise<Socket>((resolve) => {
    got = resolve;
  });
  const upstream = await server(t, (socket) => got(socket.pause()));
  const { set, port } = await dataPlane(t);
  const pair = { certificateChain: { inlineString: pem('www.crt') }, privateKey: { inlineString: pem('www.key') } };
  await set({
    listeners: [listener('l', [{ transportSocket: tls('DownstreamTlsContext', { tlsCertificates: [pair] }), filters: [tcpProxy('c')] }])],
    clusters: [cluster('c', [upstream])],
  });
  const sender = tlsConnect({ port: port('l'), host: '127.0.0.1', ca: pem('ca.crt'), servername: 'www.example.com' });
  t.after(() => sender.destroy());
  await once(sender, 'secureConnect');
  sender.end(NUMBERED);
  assertWhole(await readSlowly(await accepted));
});

test('a server over TLS that sends faster than the client reads, and ends behind it', { timeout: 60_000 }, async (t) => {
  const upstream = createTlsServer({ cert: pem('www.crt'), key: pem('www.key') }, (socket) => {
    socket.on('error', () => {});
    socket.end(NUMBERED);
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  t.after(() => upstream.close());
  const { set, port } = await dataPlane(t);
  await set({
    listeners: [listener('l', [{ filters: [tcpProxy('c')] }])],
    clusters: [cluster('c', [(upstream.address() as AddressInfo).port], { transportSocket: tls('UpstreamTlsContext', {}) })],
  });
  assertWhole(await readSlowly(await client(t, port('l'))));
});
