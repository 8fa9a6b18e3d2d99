/** What is meant for the proxy, or for one connection, goes no further. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { client, readAll } from '../integration/dataplane/support.ts';
import { gateway, upstream } from './support.ts';

const SENT = [
  'Proxy-Authorization: Basic c2VjcmV0',
  'Proxy-Connection: keep-alive',
  'Keep-Alive: timeout=5',
  'TE: gzip',
  'Trailer: x-later',
  'X-Mine: secret',
  'X-Kept: yes',
];

test('credentials for the proxy and fields of one connection stay behind', async (t) => {
  const { port, asked } = await upstream(t);
  const { http } = await gateway(t, port);
  for (const connection of ['X-Mine, close', 'close, x-MINE', 'x-mine\r\nConnection: close']) {
    const socket = await client(t, http);
    socket.write(`GET /public HTTP/1.1\r\nHost: www.allowed.example\r\nConnection: ${connection}\r\n${SENT.join('\r\n')}\r\n\r\n`);
    assert.match((await readAll(socket)).toString(), /answered$/);
    const names = asked.at(-1)!.fields.map((field) => field.slice(0, field.indexOf(':')));
    for (const name of ['proxy-authorization', 'proxy-connection', 'keep-alive', 'te', 'x-mine', 'connection'])
      assert.ok(!names.includes(name), `${name} (${connection})`);
    assert.ok(names.includes('x-kept'));
  }
});

test('a client cannot take away what the proxy says of it', async (t) => {
  const { port, asked } = await upstream(t);
  const { http } = await gateway(t, port, { useRemoteAddress: true });
  const refused = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-client-cert', 'host', 'content-length'];
  const made = ['x-envoy-external-address', 'x-request-id'];
  for (const name of [...refused, ...made]) {
    const before = asked.length;
    const socket = await client(t, http);
    socket.write(
      `POST /public HTTP/1.1\r\nHost: www.allowed.example\r\nContent-Length: 2\r\nX-Forwarded-Client-Cert: URI=x\r\nConnection: close, ${name}\r\n\r\nok`,
    );
    assert.match((await readAll(socket)).toString(), made.includes(name) ? /^HTTP\/1\.1 200 / : /^HTTP\/1\.1 400 /, name);
    const sent = asked.slice(before);
    assert.deepEqual(
      sent.map(({ body }) => body),
      made.includes(name) ? ['ok'] : [],
      name,
    );
    for (const { fields } of sent)
      assert.ok(
        fields.some((field) => field.startsWith(`${name}:`)),
        name,
      );
  }
});
