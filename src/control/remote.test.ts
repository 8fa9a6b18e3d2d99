/** A proxy of a control plane that does not answer for a name. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { startAdsServer } from '../xds/ads/server.ts';
import { meshOf } from '../xds/ads/testing.ts';
import { type RemoteEvent, startRemoteProxy } from './remote.ts';

const address = '127.0.0.1';

test('the start says what it waits for, and goes on without what nobody has', { timeout: 30_000 }, async (t) => {
  const set = meshOf({ clusters: { a: '1' }, listeners: {} });
  const server = await startAdsServer({
    listen: { address, port: 0 },
    option: '--xds',
    admit: (_node, _peer, stream) => {
      stream.serve(set);
      return { refused: () => {}, left: () => {} };
    },
  });
  t.after(() => server.close(0));
  const events: RemoteEvent[] = [];
  const news = new EventEmitter();
  const told = async <K extends RemoteEvent['kind']>(kind: K) => {
    for (;;) {
      const found = events.find((event): event is Extract<RemoteEvent, { kind: K }> => event.kind === kind);
      if (found) return found;
      await once(news, 'told');
    }
  };
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
      // A state of the world has no word for what is not there.
      protocol: 'sotw',
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
        events.push(event);
        news.emit('told');
      },
    },
  );
  t.after(() => proxy.close(0));
  assert.deepEqual((await told('waiting')).missing, [{ type: 'listener' }, { type: 'endpoint', name: 'a' }]);
  assert.deepEqual((await told('gave-up')).missing, [{ type: 'endpoint', name: 'a' }]);
  await told('ready');
});
