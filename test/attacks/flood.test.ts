/** Frames of HTTP/2 without end that ask for nothing: whoever sends them is cut off, and nobody else. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { client, readAll, server, typed } from '../integration/dataplane/support.ts';
import { END_STREAM, frame, headers, PREFACE, request, SETTINGS, TYPE } from './frames.ts';
import { gateway, upstream } from './support.ts';

const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const MANY = 5_000_000;
const HTTP2 = { codecType: 'HTTP2' };
const OPEN = headers(1, 0, request('POST', '/public', 'www.allowed.example'));

/** Each is sent over and over, on a connection whose stream 1 is open. */
const FLOODS: Readonly<Record<string, (index: number) => Buffer>> = {
  'WINDOW_UPDATE of the connection': () => frame(TYPE.windowUpdate, 0, 0, [0, 0, 0, 1]),
  'WINDOW_UPDATE of a stream': () => frame(TYPE.windowUpdate, 0, 1, [0, 0, 0, 1]),
  'WINDOW_UPDATE of a stream that is over': () => frame(TYPE.windowUpdate, 0, 3, [0, 0, 0, 1]),
  PING: (index) => frame(TYPE.ping, 0, 0, [0, 0, 0, 0, index >>> 24, (index >>> 16) & 255, (index >>> 8) & 255, index & 255]),
  'PING that answers nothing': () => frame(TYPE.ping, 1, 0, [0, 0, 0, 0, 0, 0, 0, 0]),
  SETTINGS: () => frame(TYPE.settings, 0, 0),
  'SETTINGS that change the window': (index) => frame(TYPE.settings, 0, 0, [0, 4, 0, 0, 255, index & 255]),
  PRIORITY: (index) => frame(TYPE.priority, 0, 1, [0, 0, 0, 0, index & 255]),
  'PRIORITY of streams that are not': (index) => frame(TYPE.priority, 0, 2 * index + 101, [0, 0, 0, 0, 1]),
  'empty DATA': () => frame(TYPE.data, 0, 1),
  'DATA of padding alone': () => frame(TYPE.data, 8, 1, [1, 0]),
  'frames of a type that is not': () => frame(0xbb, 0, 0, [1, 2, 3]),
  'requests that are reset at once': (index) =>
    Buffer.concat([
      headers(2 * index + 3, 0, request('POST', '/public', 'www.allowed.example')),
      frame(TYPE.rst, 0, 2 * index + 3, [0, 0, 0, 8]),
    ]),
  'a head without end': (index) =>
    index === 0 ? frame(TYPE.headers, 0, 3, request('GET', '/public', 'www.allowed.example')) : frame(TYPE.continuation, 0, 3, []),
};

/** Sends pieces as fast as they are taken, reading all that is said, until the connection has been cut. Rejects if all have been sent. */
function flood(socket: Socket, piece: (index: number) => Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    let index = 0;
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(index));
    socket.on('end', () => socket.destroy());
    socket.resume();
    const send = (): void => {
      while (index < MANY && !socket.destroyed) {
        if (!socket.write(Buffer.concat(Array.from({ length: 200 }, () => piece(index++))))) {
          socket.once('drain', send);
          return;
        }
      }
      if (!socket.destroyed) reject(new Error(`${index} frames were taken`));
    };
    send();
  });
}

for (const [name, piece] of Object.entries(FLOODS)) {
  test(`${name}: cut off, while another is served`, { timeout: 60_000 }, async (t) => {
    const { port } = await upstream(t);
    const { http, plane } = await gateway(t, port, HTTP2);
    const socket = connect(http, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.write(Buffer.concat([PREFACE, SETTINGS, OPEN]));
    const cut = flood(socket, piece);
    const other = await client(t, http);
    other.write(Buffer.concat([PREFACE, SETTINGS, headers(1, END_STREAM, request('GET', '/public', 'www.allowed.example'))]));
    await cut;
    other.write(frame(TYPE.goaway, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0]));
    assert.match((await readAll(other)).toString('latin1'), /answered/);
    while (plane.status().listeners[0]!.active > 0) await turn();
  });
}

test('a server that floods is cut off as well, and its request answered', { timeout: 60_000 }, async (t) => {
  let cut: Promise<number> | undefined;
  const port = await server(t, (socket) => {
    socket.write(SETTINGS);
    cut ??= flood(socket, () => frame(TYPE.windowUpdate, 0, 0, [0, 0, 0, 1]));
  });
  const options = { explicitHttpConfig: { http2ProtocolOptions: {} } };
  const { http } = await gateway(t, port, {}, { typedExtensionProtocolOptions: { [OPTIONS]: typed(OPTIONS, options) } });
  const socket = await client(t, http);
  socket.write('GET /public HTTP/1.1\r\nHost: www.allowed.example\r\nConnection: close\r\n\r\n');
  assert.match((await readAll(socket)).toString(), /^HTTP\/1\.1 502 /);
  await cut;
});

test('a request that expects 100 and is reset at once harms nobody', async (t) => {
  const { port } = await upstream(t);
  // The first bytes go another way into the session where they have told that it is HTTP/2.
  const { http, plane } = await gateway(t, port);
  const socket = await client(t, http);
  const head = request('POST', '/public', 'www.allowed.example', [['expect', '100-continue']]);
  const pieces = [PREFACE, SETTINGS];
  for (let stream = 1; stream < 100; stream += 2) pieces.push(headers(stream, 0, head), frame(TYPE.rst, 0, stream, [0, 0, 0, 8]));
  pieces.push(headers(101, END_STREAM, request('GET', '/public', 'www.allowed.example')));
  pieces.push(frame(TYPE.goaway, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0]));
  socket.write(Buffer.concat(pieces));
  assert.match((await readAll(socket)).toString('latin1'), /answered/);
  while (plane.status().listeners[0]!.active > 0) await turn();
});
