/** Requests smuggled in what an upgrade carries: past routes, policies and the log. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:http2';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { client, readAll } from '../integration/dataplane/support.ts';
import { gateway, upstream } from './support.ts';

const UPGRADES = { upgradeConfigs: [{ upgradeType: 'websocket' }, { upgradeType: 'tcp' }] };
const HIDDEN = 'DELETE /secret HTTP/1.1\r\nHost: evil.x\r\n\r\n';
const ASK = 'Connection: upgrade\r\nUpgrade: websocket\r\n';

/** Sends a second request behind, and reads until the gateway has closed: whatever is to come of the first has come by then. */
async function finished(socket: Socket): Promise<void> {
  socket.write('GET /public/next HTTP/1.1\r\nHost: www.allowed.example\r\nConnection: close\r\n\r\n');
  await readAll(socket);
}

const request = (framing: string, body: string, method = 'GET') =>
  `${method} /public HTTP/1.1\r\nHost: www.allowed.example\r\n${ASK}${framing}\r\n\r\n${body}`;

for (const { name, bytes } of [
  { name: 'chunked', bytes: request('Transfer-Encoding: chunked', `${HIDDEN.length.toString(16)}\r\n${HIDDEN}\r\n0\r\n\r\n`) },
  { name: 'content-length', bytes: request(`Content-Length: ${HIDDEN.length}`, HIDDEN) },
  { name: 'POST with content-length', bytes: request(`Content-Length: ${HIDDEN.length}`, HIDDEN, 'POST') },
  { name: 'no framing at all', bytes: request('X: y', HIDDEN) },
  { name: 'content-length 0', bytes: request('Content-Length: 0', HIDDEN) },
]) {
  test(`an upgrade that the server does not take hides no second request: ${name}`, async (t) => {
    const server = await upstream(t);
    const { http } = await gateway(t, server.port, UPGRADES);
    const socket = await client(t, http);
    socket.write(bytes);
    await finished(socket);
    const lines = server.asked.map(({ line }) => line);
    assert.ok(
      lines.every((line) => /^(GET|POST) \/public(\/next)? /.test(line)),
      lines.join(', '),
    );
    for (const { body } of server.asked) assert.ok(body === '' || HIDDEN.startsWith(body), 'a body stays a body');
  });
}

test('a body that is cut within an upgrade stays a body', async (t) => {
  const server = await upstream(t);
  const { http } = await gateway(t, server.port, { ...UPGRADES, streamIdleTimeout: '0.2s' });
  const socket = await client(t, http);
  socket.write(request('Transfer-Encoding: chunked', `${(HIDDEN.length + 50).toString(16)}\r\n${HIDDEN}`));
  await readAll(socket);
  assert.deepEqual(
    server.asked.map(({ line }) => line).filter((line) => !line.startsWith('GET /public ')),
    [],
  );
});

test('what follows the head of an upgrade waits for the 101', async (t) => {
  let accept = (): void => undefined;
  const asked = new Promise<void>((resolve) => {
    accept = resolve;
  });
  let open = (): void => undefined;
  const server = await upstream(t, {
    onUpgrade(socket) {
      accept();
      open = () => void socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
    },
  });
  const { http } = await gateway(t, server.port, UPGRADES);
  const socket = await client(t, http);
  socket.write(request('X: y', 'early'));
  await asked;
  const before: string = server.tunnelled();
  assert.equal(before, '', 'nothing before it is open');
  open();
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1\.1 101 /);
  socket.write(' and late');
  while (!server.tunnelled().endsWith('early and late')) await new Promise((resolve) => setImmediate(resolve));
});

test('a request with a body is an ordinary one, whatever upgrade it asks for', async (t) => {
  const server = await upstream(t, { onUpgrade: () => undefined });
  const { http } = await gateway(t, server.port, UPGRADES);
  const socket = await client(t, http);
  socket.write(
    'POST /public HTTP/1.1\r\nHost: www.allowed.example\r\nConnection: upgrade\r\nUpgrade: tcp\r\nContent-Length: 4\r\n\r\nbody',
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1\.1 200 /);
  assert.equal(server.asked[0]!.body, 'body');
  assert.equal(server.tunnelled(), '');
});

test('early DATA of an extended CONNECT waits for the answer', async (t) => {
  const server = await upstream(t);
  const { http } = await gateway(t, server.port, { ...UPGRADES, codecType: 'HTTP2', http2ProtocolOptions: { allowConnect: true } });
  const session = connect(`http://127.0.0.1:${http}`);
  t.after(() => session.destroy());
  session.on('error', () => undefined);
  await once(session, 'remoteSettings');
  const stream = session.request(
    { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/public', ':authority': 'www.allowed.example', ':scheme': 'http' },
    { endStream: false },
  );
  stream.on('error', () => undefined);
  stream.write(HIDDEN);
  stream.resume();
  await once(stream, 'response');
  stream.end();
  await once(stream, 'close');
  assert.deepEqual(
    server.asked.map(({ line }) => line).filter((line) => !line.startsWith('GET /public ')),
    [],
  );
});

test('a request whose client leaves before its end is not completed at the server', async (t) => {
  const server = await upstream(t);
  const { http } = await gateway(t, server.port);
  for (const body of ['Content-Length: 10\r\n\r\nabc', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n']) {
    const socket = await client(t, http);
    const answered = readAll(socket);
    socket.end(`POST /public HTTP/1.1\r\nHost: www.allowed.example\r\n${body}`);
    await answered;
  }
  // Whatever the server saw of them, it answered none: their bodies never ended.
  const probe = await client(t, http);
  const answered = readAll(probe);
  probe.write('GET /public/last HTTP/1.1\r\nHost: www.allowed.example\r\nConnection: close\r\n\r\n');
  assert.match((await answered).toString(), /answered/);
  assert.equal(server.asked.at(-1)!.line, 'GET /public/last HTTP/1.1');
});
