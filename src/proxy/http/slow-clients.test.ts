import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { HttpConnectionManager_CodecType } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { fakeCluster, type ProxyOptions, routesTo, startProxy } from './testing.ts';
import { answering, dial, response } from './testing-sockets.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const ms = (milliseconds: number) => ({ seconds: BigInt(Math.floor(milliseconds / 1000)), nanos: (milliseconds % 1000) * 1e6 });
const TIMED_OUT = /^HTTP\/1\.1 408 Request Timeout\r\n/;

async function setup(manager: ProxyOptions['manager'], now?: () => number) {
  const upstream = await answering(() => response('x.'));
  const cluster = fakeCluster('upstream', [upstream.port]);
  const proxy = await startProxy({ clusters: [cluster], routes: routesTo('upstream'), manager: manager ?? {}, ...(now ? { now } : {}) });
  return {
    proxy,
    client: await dial(proxy.port),
    async [Symbol.asyncDispose]() {
      await proxy.close();
      await upstream.close();
    },
  };
}

test('a head has the time that requests have, whatever sets it', async () => {
  for (const [manager, details, flags] of [
    [{ streamIdleTimeout: ms(50) }, 'stream_idle_timeout', ['SI']],
    [{ requestTimeout: ms(50) }, 'request_overall_timeout', []],
    [{ streamIdleTimeout: ms(5000), requestHeadersTimeout: ms(50), requestTimeout: ms(5000) }, 'request_header_timeout', []],
  ] as const) {
    await using t = await setup(manager);
    t.client.send('GET / HTTP/1.1\r\nHos');
    assert.match(await t.client.end(), TIMED_OUT);
    const record = await t.proxy.nextRecord();
    assert.deepEqual([record.responseCodeDetails, record.flags], [details, flags]);
  }
});

test('where nothing sets it, a head has five minutes, and not more for coming in pieces', async () => {
  let later = 0;
  await using t = await setup({ streamIdleTimeout: ms(0) }, () => performance.now() + later);
  const read = async (): Promise<void> => {
    const other = await dial(t.proxy.port);
    other.send(GET);
    await other.until('x.');
    other.socket.destroy();
  };
  t.client.send('GET / HTTP/1.1\r\n');
  await read();
  later = 200_000;
  t.client.send('a: b\r\n');
  await read();
  later = 301_000;
  assert.match(await t.client.end(), TIMED_OUT);
});

test('a head that began behind a request before it has its time too', async () => {
  await using t = await setup({ streamIdleTimeout: ms(50) });
  t.client.send(`${GET}GET / HTTP/1.1\r\nHos`);
  assert.match(await t.client.end(), /x\.HTTP\/1\.1 408 Request Timeout\r\n/);
});

test('the beginning of the preface of HTTP/2 has the time of a head', async () => {
  await using t = await setup({ streamIdleTimeout: ms(50) });
  t.client.send('PRI * HT');
  assert.equal(await t.client.end(), '');
});

test('the idle time does not end a head: that has its own', async () => {
  await using t = await setup({ commonHttpProtocolOptions: { idleTimeout: ms(30) }, requestHeadersTimeout: ms(100) });
  t.client.send('GET / HTTP/1.1\r\nHos');
  assert.match(await t.client.end(), TIMED_OUT);
});

test('an HTTP/2 connection whose idle time is over ends, also where its client neither answers nor closes', async () => {
  await using t = await setup({
    codecType: HttpConnectionManager_CodecType.HTTP2,
    commonHttpProtocolOptions: { idleTimeout: ms(50) },
    delayedCloseTimeout: ms(50),
  });
  const gone = once(t.client.socket, 'close');
  // Stays open on its side.
  const socket = connect({ port: t.proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => undefined);
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
  socket.resume();
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.on('end', () => {
    // A server that has gone answers bytes with a reset.
    const poke = setInterval(() => socket.write('\0\0\x08\x06\0\0\0\0\0pingping'), 20);
    socket.on('close', () => clearInterval(poke));
  });
  await Promise.all([gone, closed]);
  while (t.proxy.handler.active > 0) await new Promise((resolve) => setImmediate(resolve));
});
