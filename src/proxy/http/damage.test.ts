import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fakeCluster, routesTo, startProxy } from './testing.ts';
import { answering, dial, rawUpstream, response } from './testing-sockets.ts';

const REQUEST =
  'POST /a?b HTTP/1.1\r\nHost: www.example.com\r\nConnection: Upgrade, x\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n0\r\nt: 1\r\n\r\n';
const RESPONSE = 'HTTP/1.1 200 OK\r\nConnection: x\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n0\r\nt: 1\r\n\r\n';
const GET = 'GET /alive HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

const damages = fc.array(
  fc.record({
    at: fc.nat(),
    drop: fc.nat({ max: 3 }),
    text: fc.constantFrom('', '\r', '\n', '\0', ' ', ':', '\r\n\r\n', '\xff', 'ffffffff', 'HTTP/1.0'),
  }),
  { minLength: 1, maxLength: 4 },
);

function damaged(text: string, list: readonly { readonly at: number; readonly drop: number; readonly text: string }[]): string {
  let result = text;
  for (const { at, drop, text: inserted } of list) {
    const place = at % (result.length + 1);
    result = result.slice(0, place) + inserted + result.slice(place + drop);
  }
  return result;
}

test('whatever a client sends, the next client is served', async () => {
  const upstream = await answering(() => response('fine'));
  const proxy = await startProxy({
    clusters: [fakeCluster('upstream', [upstream.port])],
    routes: routesTo('upstream'),
    manager: {
      upgradeConfigs: [{ upgradeType: 'websocket' }],
      httpProtocolOptions: { acceptHttp10: true },
      delayedCloseTimeout: { nanos: 1e6 },
    },
  });
  await fc.assert(
    fc.asyncProperty(damages, async (list) => {
      const hostile = await dial(proxy.port);
      hostile.send(damaged(REQUEST, list));
      hostile.socket.end();
      await hostile.end();
      hostile.socket.destroy();
      const client = await dial(proxy.port);
      client.send(GET);
      assert.match(await client.end(), /^HTTP\/1\.1 200 OK[\s\S]*fine$/);
    }),
    { numRuns: 60, seed: 1 },
  );
  await proxy.close();
  await upstream.close();
});

test('whatever an upstream answers, the client hears of it or is cut off, and the next request is served', async () => {
  let answer = '';
  const upstream = await rawUpstream((wire) => {
    wire.socket.on('data', () => {
      if (wire.text.includes('/alive')) wire.send(response('fine', 'connection: close\r\n'));
      else wire.socket.end(Buffer.from(answer, 'latin1'));
    });
  });
  const cluster = fakeCluster('upstream', [upstream.port]);
  const proxy = await startProxy({ clusters: [cluster], routes: routesTo('upstream'), manager: { delayedCloseTimeout: { nanos: 1e6 } } });
  await fc.assert(
    fc.asyncProperty(damages, async (list) => {
      answer = damaged(RESPONSE, list);
      const client = await dial(proxy.port);
      client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      assert.match(await client.end(), /^HTTP\/1\.1 \d{3} /);
      const next = await dial(proxy.port);
      next.send(GET);
      assert.match(await next.end(), /fine$/);
    }),
    { numRuns: 60, seed: 1 },
  );
  assert.equal(cluster.limits.requests.used, 0);
  assert.equal(cluster.hosts[0]!.active, 0);
  await proxy.close();
  await upstream.close();
});
