import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { listening } from './listen.ts';
import { waitUntilReady } from './readiness.ts';

test('it is waited until the answer is 200; after that time it says why not, in the words of who is asked', async (t) => {
  let asked = 0;
  let readyAfter = 1;
  const server = createServer((_request, response) => {
    asked += 1;
    response.writeHead(asked > readyAfter ? 200 : 503).end('refused: listener door\n');
  });
  await listening(server, { host: '127.0.0.1', port: 0 }, { ip: '127.0.0.1', port: 0 });
  t.after(() => server.close());
  const at = { address: '127.0.0.1', port: (server.address() as AddressInfo).port };
  await waitUntilReady(at, 60_000);
  assert.equal(asked, 2);
  readyAfter = Number.POSITIVE_INFINITY;
  await assert.rejects(waitUntilReady(at, 0), { code: 'not-ready', message: /it answers 503, refused: listener door$/ });
  server.close();
  await assert.rejects(waitUntilReady(at, 0), { code: 'not-ready', message: /ECONNREFUSED/ });
});
