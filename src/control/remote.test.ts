/** `proxy --xds`: when it says that it is ready, and what of a control plane that does not answer for a name. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { credentials } from '@grpc/grpc-js';
import { startAdsServer } from '../xds/ads/server.ts';
import type { AdsStream } from '../xds/ads/stream.ts';
import type { Protocol } from '../xds/ads/subscription.ts';
import { meshOf, setOf } from '../xds/ads/testing.ts';
import { type Listener, ListenerSchema } from '../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { TcpProxySchema } from '../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import type { EncodedSet } from '../xds/update.ts';
import { type RemoteEvent, startRemoteProxy } from './remote.ts';
import { RemoteReadiness } from './remote-readiness.ts';
import { remoteTeller } from './remote-text.ts';

const address = '127.0.0.1';

/** A proxy of a control plane that serves this set. */
async function proxyOf(t: TestContext, set: EncodedSet, protocol: Protocol) {
  let stream: AdsStream | undefined;
  const server = await startAdsServer({
    listen: { address, port: 0 },
    option: '--xds',
    admit: (_node, _peer, admitted) => {
      stream = admitted;
      admitted.serve(set);
      return { refused: () => {}, left: () => {} };
    },
  });
  t.after(() => server.close(0));
  const events: RemoteEvent[] = [];
  const readiness = new RemoteReadiness();
  const news = new EventEmitter();
  const identity = {
    type: 'router',
    name: 'a',
    namespace: 'b',
    labels: {},
    serviceAccount: '',
    addresses: [address],
    locality: '',
  } as const;
  const proxy = await startRemoteProxy(
    {
      identity,
      target: { address, port: server.port },
      protocol,
      credentials: () => credentials.createInsecure(),
      admin: { address, port: 0 },
      concurrency: 1,
      // Long enough for a first response on a busy machine.
      times: { sayMs: 2000, namesMs: 4000 },
    },
    {
      log: () => {},
      environment: {},
      quit: () => {},
      tell: (event) => {
        readiness.see(event);
        events.push(event);
        news.emit('told');
      },
    },
  );
  t.after(() => proxy.close(0));
  return {
    events,
    readiness,
    serve: (next: EncodedSet) => stream!.serve(next),
    /** Resolves when something is refused in an event that comes after so many. */
    async refusedAfter(count: number) {
      while (!events.slice(count).some((event) => event.kind === 'in-force' && event.refused.length > 0)) await once(news, 'told');
    },
    async told<K extends RemoteEvent['kind']>(kind: K) {
      for (;;) {
        const found = events.find((event): event is Extract<RemoteEvent, { kind: K }> => event.kind === kind);
        if (found) return found;
        await once(news, 'told');
      }
    },
  };
}

test('the start says what it waits for, and goes on without what nobody has', { timeout: 30_000 }, async (t) => {
  // A state of the world has no word for what is not there.
  const { told } = await proxyOf(t, meshOf({ clusters: { a: '1' }, listeners: {} }), 'sotw');
  assert.deepEqual((await told('waiting')).missing, [{ type: 'listener' }, { type: 'endpoint', name: 'a' }]);
  assert.deepEqual((await told('gave-up')).missing, [{ type: 'endpoint', name: 'a' }]);
  await told('ready');
});

function tcpListener(name: string, port: number): Listener {
  const value = anyPack(TcpProxySchema, create(TcpProxySchema, { statPrefix: name, clusterSpecifier: { case: 'cluster', value: 'a' } }));
  return create(ListenerSchema, {
    name,
    address: { address: { case: 'socketAddress', value: { address, portSpecifier: { case: 'portValue', value: port } } } },
    filterChains: [{ filters: [{ name: 'tcp', configType: { case: 'typedConfig', value } }] }],
  });
}

for (const protocol of ['delta', 'sotw'] as const) {
  test(`a proxy without a listener of its first configuration is not ready, and says which it is (${protocol})`, {
    timeout: 30_000,
  }, async (t) => {
    const taken = createServer().listen(0, address);
    await once(taken, 'listening');
    t.after(() => taken.close());
    const { port } = taken.address() as AddressInfo;
    const contents = { clusters: { a: '1' }, endpoints: { a: '1' } };
    const { told, events, readiness, serve, refusedAfter } = await proxyOf(
      t,
      setOf({ ...contents, made: [tcpListener('door', port)] }),
      protocol,
    );
    const { refused } = await told('not-ready');
    assert.deepEqual(
      refused.map(({ key }) => key),
      ['listener/door'],
    );
    assert.ok(!readiness.ready);
    assert.match(readiness.note, /^refused: listener door: .*already in use/);
    assert.ok(!events.some(({ kind }) => kind === 'ready'));

    // The control plane takes it back: nothing is missing any more.
    serve(setOf({ ...contents, made: [tcpListener('other', 0)] }));
    await told('ready');
    assert.ok(readiness.ready);
    assert.equal(readiness.note, '');

    // What was ready stays so: what comes later and is refused leaves the last good version in force.
    const before = events.length;
    serve(setOf({ ...contents, made: [tcpListener('other', 0), tcpListener('door', port)] }));
    await refusedAfter(before);
    assert.ok(readiness.ready);
  });
}

test('readiness is told once for the same refusals, and that what is in force is old', () => {
  const lines = remoteTeller('10.0.0.9:15010');
  const refused = [{ resource: 'listener door', message: 'in use', key: 'listener/door' }];
  assert.deepEqual(lines({ kind: 'in-force', refused }), ['listener door: in use']);
  assert.deepEqual(lines({ kind: 'not-ready', refused }), [
    'not ready: of the first configuration listener door is refused, and the rest is in force',
  ]);
  assert.deepEqual(lines({ kind: 'in-force', refused }), []);
  assert.deepEqual(lines({ kind: 'not-ready', refused }), []);
  assert.deepEqual(lines({ kind: 'connected' }), []);
  assert.match(lines({ kind: 'lost', reason: 'gone' }).join(), /10\.0\.0\.9:15010 cannot be had \(gone\): trying again$/);
  assert.deepEqual(lines({ kind: 'connected' }), ['the control plane at 10.0.0.9:15010 is there']);
  assert.match(lines({ kind: 'waiting', missing: [{ type: 'route', name: 'r' }] }).join(), /: route configuration r$/);
  assert.match(lines({ kind: 'waiting', missing: [] }).join(), /: all of it came/);
  assert.deepEqual(lines({ kind: 'ready' }), ['ready']);
  assert.match(lines({ kind: 'lost', reason: 'gone' }).join(), /what is in force stays$/);

  const readiness = new RemoteReadiness();
  readiness.see({ kind: 'stale', at: 0 });
  assert.ok(readiness.ready);
  assert.match(readiness.note, /^stale: /);
  // The control plane is back, and sends no better: what was kept stays in force.
  readiness.see({ kind: 'not-ready', refused });
  assert.ok(readiness.ready);
  assert.equal(readiness.note, 'refused: listener door: in use\n');
  readiness.end();
  assert.ok(!readiness.ready);
});
