import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createLocalServer, type LocalServerOptions, refusalOf } from './local-server.ts';

async function serve(t: TestContext, options?: LocalServerOptions): Promise<{ server: Server; port: number }> {
  const server = createLocalServer((_request, response) => response.end('answered'), options);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { server, port: (server.address() as AddressInfo).port };
}

test('tools are answered, by address and as localhost', () => {
  for (const host of ['127.0.0.1:15000', '10.1.2.3', '[::1]:15000', 'localhost:15000', 'a.localhost', undefined])
    assert.equal(refusalOf({ host }), undefined, host);
  assert.equal(refusalOf({ host: '127.0.0.1:1', origin: 'http://127.0.0.1:1', 'sec-fetch-site': 'same-origin' }), undefined);
  assert.equal(refusalOf({ host: 'localhost:1', 'sec-fetch-site': 'none' }), undefined, 'a user who types the address');
});

test('names that may lead here by DNS rebinding are not', () => {
  for (const host of [
    'evil.example',
    'evil.example:15000',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'notlocalhost',
    '',
    '[::1',
    '127.1',
  ])
    assert.match(refusalOf({ host }) ?? '', /call the server by its IP address/, host);
});

test('a name is, where the server is said to have it, and over TLS pages come by https', () => {
  const place = { hosts: ['console.example'], scheme: 'https' } as const;
  assert.equal(refusalOf({ host: 'Console.example:8443', origin: 'https://Console.example:8443' }, place), undefined);
  for (const head of [{ host: 'a.console.example' }, { host: 'console.example', origin: 'http://console.example' }])
    assert.notEqual(refusalOf(head, place), undefined, JSON.stringify(head));
});

test('web pages of other sites are not', () => {
  const host = '127.0.0.1:15000';
  for (const origin of ['http://evil.example', 'null', 'http://127.0.0.1:8080', 'https://127.0.0.1:15000', ''])
    assert.match(refusalOf({ host, origin }) ?? '', /web pages/, origin);
  for (const site of ['cross-site', 'same-site', 'anything'])
    assert.match(refusalOf({ host, 'sec-fetch-site': site }) ?? '', /web pages of other sites/, site);
});

test('a refused request never comes to the handler', async (t) => {
  const { port } = await serve(t);
  const answer = async (headers: Record<string, string>) => {
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body: 'x' });
    return [response.status, await response.text()];
  };
  assert.deepEqual(await answer({}), [200, 'answered']);
  const [status, text] = await answer({ origin: 'http://evil.example' });
  assert.equal(status, 403);
  assert.match(String(text), /evil\.example/);
});

test('a client that says nothing, or half a head, is let go', async (t) => {
  const { port } = await serve(t, { checkEveryMs: 20, headMs: 100 });
  for (const words of ['', 'GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n']) {
    const socket = connect(port, '127.0.0.1');
    socket.write(words);
    socket.resume();
    await once(socket, 'close');
  }
});

test('a whole request has its own time, never less than its head', () => {
  const requestTimeout = (options?: LocalServerOptions) => createLocalServer(() => undefined, options).requestTimeout;
  assert.deepEqual([requestTimeout(), requestTimeout({ headMs: 100 }), requestTimeout({ headMs: 60_000 })], [30_000, 30_000, 60_000]);
});
