import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { JsonObject } from '@bufbuild/protobuf';
import { boundOf, EXPLICIT_PROXY_BOUNDS } from './bounds.ts';
import { Listeners } from './manager.ts';
import { encodeListener, type FakeEnvironment, fakeEnvironment } from './testing.ts';

const EXPLICIT = {
  name: 'sallyport.filters.listener.explicit_proxy',
  typedConfig: { '@type': 'type.googleapis.com/google.protobuf.Empty' },
};
const inspector = (name: string, type: string) => ({
  name,
  typedConfig: { '@type': `type.googleapis.com/envoy.extensions.filters.listener.${type}` },
});
const TLS_INSPECTOR = inspector('tls', 'tls_inspector.v3.TlsInspector');
const HTTP_INSPECTOR = inspector('http', 'http_inspector.v3.HttpInspector');
const PROXY_PROTOCOL = inspector('proxy', 'proxy_protocol.v3.ProxyProtocol');
const TCP = {
  name: 'tcp',
  typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', statPrefix: 'x', cluster: 'c' },
};

interface Served {
  readonly all: Listeners;
  readonly env: FakeEnvironment;
  /** A client that has written `text`, as soon as a filter waits for more of it. */
  waiting(text: string | Buffer): Promise<Socket>;
}

async function serve(t: TestContext, filters: readonly JsonObject[], more: JsonObject = {}): Promise<Served> {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const env = fakeEnvironment();
  const all = new Listeners(env, () => Promise.resolve());
  t.after(() => all.close());
  const address = { socketAddress: { address: '127.0.0.1', portValue: 0 } };
  const config = { name: 'l', address, listenerFilters: [...filters], filterChains: [{ filters: [TCP] }], ...more };
  await all.set('l', encodeListener(config), '1', []);
  const { port } = [...all.all()][0]!.addresses[0]!;
  return {
    all,
    env,
    async waiting(text) {
      const before = all.active;
      const socket = connect(port, '127.0.0.1');
      t.after(() => socket.destroy());
      await once(socket, 'connect');
      while (all.active === before) await turn();
      if (text.length > 0) {
        socket.write(text);
        // The answer of another connection on the same loop comes after these bytes have been read.
        await settled(port);
      }
      return socket;
    },
  };
}

/** Whatever was written to the listener before has been read by it. */
async function settled(port: number): Promise<void> {
  const probe = connect(port, '127.0.0.1');
  await once(probe, 'connect');
  probe.destroy();
  await once(probe, 'close');
  for (let i = 0; i < 20; i++) await turn();
}

const isOpen = async (socket: Socket): Promise<boolean> => {
  for (let i = 0; i < 20; i++) await turn();
  return !socket.readableEnded && !socket.destroyed;
};

test('there is a bound whatever the configuration says', () => {
  assert.deepEqual(boundOf(undefined, 15_000, false), { phase: 'filters', ms: 15_000 });
  assert.deepEqual(boundOf(undefined, 15_000, true), { phase: 'filters', ms: 15_000 });
  assert.deepEqual(boundOf(undefined, 0, false), { phase: 'silent', ms: 3_600_000 });
  assert.deepEqual(boundOf(undefined, 0, true), { phase: 'unfinished', ms: 60_000 });
  assert.deepEqual(boundOf(EXPLICIT_PROXY_BOUNDS, 15_000, false), { phase: 'silent', ms: 300_000 });
});

test('the explicit proxy lets silent clients go, and those that do not end what they began', async (t) => {
  for (const [text, ms] of [
    ['', 300_000],
    ['GET http://a.exa', 60_000],
    ['CONNECT a.example:443 HTTP/1.1\r\nhost: a', 60_000],
    [Buffer.from([5]), 60_000],
    [Buffer.from([5, 1, 0]), 60_000],
    [Buffer.from([5, 1, 0, 5, 1, 0, 3, 9]), 60_000],
  ] as const) {
    await t.test(JSON.stringify(String(text)), async (t) => {
      const { waiting, all } = await serve(t, [EXPLICIT]);
      const socket = await waiting(text);
      socket.resume();
      t.mock.timers.tick(ms - 1);
      assert.equal(await isOpen(socket), true);
      t.mock.timers.tick(1);
      await once(socket, 'end');
      assert.equal(all.active, 0);
      assert.equal([...all.all()][0]!.stats.downstreamPreCxTimeout, 1);
    });
  }
});

test('bytes one at a time do not begin the time anew', async (t) => {
  const { waiting } = await serve(t, [EXPLICIT]);
  const socket = await waiting('C');
  socket.resume();
  const ended = once(socket, 'end');
  for (const letter of 'ONNECT') {
    t.mock.timers.tick(9_000);
    assert.equal(await isOpen(socket), true);
    socket.write(letter);
    for (let i = 0; i < 20; i++) await turn();
  }
  t.mock.timers.tick(6_000);
  await ended;
});

test('without a time in the configuration, a filter that waits has a bound all the same', async (t) => {
  const none = { listenerFiltersTimeout: '0s' };
  for (const [filter, text, ms] of [
    [TLS_INSPECTOR, '', 3_600_000],
    [TLS_INSPECTOR, '\x16\x03\x01', 60_000],
    [HTTP_INSPECTOR, 'GE', 60_000],
    [PROXY_PROTOCOL, 'PROXY ', 60_000],
  ] as const) {
    await t.test(`${filter.name} ${JSON.stringify(text)}`, async (t) => {
      const { waiting } = await serve(t, [filter], none);
      const socket = await waiting(text);
      socket.resume();
      t.mock.timers.tick(ms - 1);
      assert.equal(await isOpen(socket), true);
      t.mock.timers.tick(1);
      await once(socket, 'end');
    });
  }
});

test('and goes on after it where the configuration says so', async (t) => {
  const { waiting, env } = await serve(t, [HTTP_INSPECTOR], { listenerFiltersTimeout: '0s', continueOnListenerFiltersTimeout: true });
  await waiting('GE');
  t.mock.timers.tick(60_000);
  assert.equal(env.handlers.flatMap(({ connections }) => connections).length, 1);
});

test('a filter that refuses before it has said that it takes its time leaves neither a connection nor a timer behind', async (t) => {
  const { waiting, all, env } = await serve(t, [EXPLICIT]);
  const observer = { refused: () => undefined };
  Object.assign(env.explicitProxy, { closed: { isClosed: () => true, isDeclared: () => false, observer } });
  const timers = t.mock.method(globalThis, 'setTimeout');
  const socket = await waiting('');
  const before = timers.mock.callCount();
  socket.resume();
  const ended = once(socket, 'end');
  socket.write('CONNECT a.example:443 HTTP/1.1\r\n\r\n');
  await ended;
  assert.equal(all.active, 0);
  assert.equal(timers.mock.callCount(), before);
});
