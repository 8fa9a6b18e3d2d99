/** What a stricter reader would read in another way: refused, so that no two can disagree. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { client, readAll, server } from '../integration/dataplane/support.ts';
import { gateway, upstream } from './support.ts';

const ANY = {
  routeConfig: { name: 'r', virtualHosts: [{ name: 'a', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'c' } }] }] },
  upgradeConfigs: [{ upgradeType: 'CONNECT' }],
};

const AUTHORITIES = [
  'h:',
  'h:-1',
  'h:99999',
  'h:80:80',
  '[::1',
  '::1]',
  '[::1]x',
  'a,b',
  '%62.example',
  'a@b',
  'a b',
  'a/b',
  'a\\b',
  '[v1.x',
  'h:8 0',
];

test('an authority that is none is refused', async (t) => {
  const { port, asked } = await upstream(t);
  const { http } = await gateway(t, port, ANY);
  const answers: string[] = [];
  for (const authority of AUTHORITIES) {
    const socket = await client(t, http);
    socket.write(`GET / HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`);
    answers.push(`${authority}: ${(await readAll(socket)).toString().slice(9, 12)}`);
  }
  assert.deepEqual(
    answers,
    AUTHORITIES.map((authority) => `${authority}: 400`),
  );
  assert.deepEqual(asked, []);
});

const TARGETS = ['http://a\\@b/', 'http://h:99999/', 'http://h:/', 'http:///x', 'http://[::1/', 'http://%62.example/', 'http://a,b/'];

test('an absolute form whose authority is none is refused', async (t) => {
  const { port, asked } = await upstream(t);
  const { http } = await gateway(t, port, ANY);
  const answers: string[] = [];
  for (const target of TARGETS) {
    const socket = await client(t, http);
    socket.write(`GET ${target} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n`);
    answers.push(`${target}: ${(await readAll(socket)).toString().slice(9, 12)}`);
  }
  assert.deepEqual(
    answers,
    TARGETS.map((target) => `${target}: 400`),
  );
  assert.deepEqual(asked, []);
});

test('CONNECT takes a host and a port, and no other target', async (t) => {
  const { port, asked } = await upstream(t);
  const { http } = await gateway(t, port, ANY);
  const targets = ['h:99999', 'h:0', 'h:-1', 'h', 'h:', ':80', 'http://h:80/', '/x', 'a,b:80', 'u@h:80', '[::1:80'];
  const answers: string[] = [];
  for (const target of targets) {
    const socket = await client(t, http);
    socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: h\r\n\r\n`);
    const [text] = await Promise.race([
      readAll(socket).then((all) => [all.toString()]),
      new Promise<string[]>((resolve) => socket.once('data', (d) => resolve([String(d)]))),
    ]);
    answers.push(`${target}: ${text!.slice(9, 12)}`);
    socket.destroy();
  }
  assert.deepEqual(
    answers,
    targets.map((target) => `${target}: 400`),
  );
  assert.deepEqual(asked, []);
});

for (const { name, answer } of [
  { name: 'a blank line before it', answer: '\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok' },
  { name: 'a bare LF', answer: 'HTTP/1.1 200 OK\ncontent-length: 2\n\nok' },
  { name: 'both framings', answer: 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n' },
  { name: 'two lengths', answer: 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok' },
  { name: 'white space before the colon', answer: 'HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok' },
  { name: 'a NUL in a field', answer: 'HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 2\r\n\r\nok' },
  { name: 'a status of four digits', answer: 'HTTP/1.1 2000 OK\r\ncontent-length: 2\r\n\r\nok' },
  { name: 'another version', answer: 'HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok' },
]) {
  test(`a response with ${name} is 502 or 503, and nothing of it is passed on`, async (t) => {
    const port = await server(t, (socket) => socket.on('data', () => socket.write(answer)));
    const { http } = await gateway(t, port, ANY);
    const socket = await client(t, http);
    socket.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
    const text = (await readAll(socket)).toString();
    assert.match(text, /^HTTP\/1\.1 50[23] /, text);
  });
}
