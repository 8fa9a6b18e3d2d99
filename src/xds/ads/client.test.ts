/** The client of the protocol against our server of it, both without gRPC: what one writes the other reads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { NodeSchema } from '../gen/envoy/config/core/v3/base_pb.js';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from '../gen/envoy/service/discovery/v3/discovery_pb.js';
import { TYPE_URL } from '../resources.ts';
import { EMPTY_SET } from '../update.ts';
import { Pair } from './client-testing.ts';
import type { Protocol } from './subscription.ts';
import { type MeshContents, meshOf } from './testing.ts';

const ALL: MeshContents = {
  clusters: { a: '1', b: '1' },
  endpoints: { a: '1', b: '1' },
  listeners: { web: { text: '1', route: 'web' } },
  routes: { web: '1' },
};

for (const protocol of ['delta', 'sotw'] as const) {
  const pairOf = async (contents: MeshContents) => {
    const pair = new Pair(protocol);
    pair.connect(meshOf(contents));
    await pair.settle();
    return pair;
  };

  test(`${protocol}: the first configuration comes whole and is acknowledged; a change brings what changed`, async () => {
    const pair = await pairOf(ALL);
    await pair.runs(ALL);
    assert.equal(pair.sets.at(-1)?.whole, true);
    assert.deepEqual(pair.client.missing, []);
    assert.deepEqual(pair.states(), {
      secret: 'not sent',
      cluster: 'synced',
      endpoint: 'synced',
      listener: 'synced',
      route: 'synced',
      nameTable: 'synced',
    });
    const before = pair.plane.updates.length;
    pair.stream!.serve(meshOf({ ...ALL, routes: { web: '2' } }));
    await pair.settle();
    const changed = pair.plane.updates.slice(before).flatMap(({ changed }) => changed.map(({ name }) => name));
    assert.deepEqual(changed, ['web']);
    assert.equal(pair.states().route, 'synced');
  });

  test(`${protocol}: what is added comes with all that it needs, before what refers to it; what is gone goes`, async () => {
    const pair = await pairOf(ALL);
    const more = {
      clusters: { ...ALL.clusters, c: '1' },
      endpoints: { ...ALL.endpoints, c: '1' },
      listeners: { ...ALL.listeners, more: { text: '1', route: 'more' } },
      routes: { ...ALL.routes, more: '1' },
    };
    pair.stream!.serve(meshOf(more));
    await pair.runs(more);
    for (const { entries } of pair.sets) {
      if (entries.cluster.has('c')) assert.ok(entries.endpoint.has('c'));
      if (entries.listener.has('more')) assert.ok(entries.route.has('more') && entries.cluster.has('c'));
    }
    pair.stream!.serve(meshOf(ALL));
    await pair.runs(ALL);
    pair.stream!.serve(meshOf({}));
    await pair.runs({});
    assert.deepEqual(
      Object.values(pair.states()).filter((state) => state === 'stale' || state === 'nack'),
      [],
    );
  });

  test(`${protocol}: what the data plane refuses is refused with its words, stays as it was, and recovers`, async () => {
    const pair = await pairOf(ALL);
    const good = pair.plane.running.get('cluster/a');
    pair.plane.bad = (key, version) => (key === 'cluster/a' && version !== good ? 'a is bad' : undefined);
    pair.stream!.serve(meshOf({ ...ALL, clusters: { a: '2', b: '2' } }));
    await pair.settle();
    assert.deepEqual(
      pair.refused.map(({ message }) => message),
      ['cluster a: a is bad'],
    );
    assert.equal(pair.states().cluster, 'nack');
    assert.equal(pair.plane.running.get('cluster/a'), good);

    // On a new stream it says that it has the old one, and refuses the new one again.
    pair.disconnect();
    pair.connect(meshOf({ ...ALL, clusters: { a: '2', b: '2' } }));
    await pair.settle();
    assert.equal(pair.refused.length, 2);
    assert.equal(pair.plane.running.get('cluster/a'), good);

    pair.plane.bad = () => undefined;
    pair.stream!.serve(meshOf({ ...ALL, clusters: { a: '3', b: '2' } }));
    await pair.settle();
    assert.equal(pair.states().cluster, 'synced');
    assert.notEqual(pair.plane.running.get('cluster/a'), good);
  });

  test(`${protocol}: what was refused and is taken back while nobody listened leads to what there was`, async () => {
    const pair = await pairOf(ALL);
    const good = pair.plane.running.get('cluster/a');
    pair.plane.bad = (key, version) => (key === 'cluster/a' && version !== good ? 'no' : undefined);
    pair.stream!.serve(meshOf({ ...ALL, clusters: { a: '2', b: '2' } }));
    await pair.settle();
    pair.disconnect();
    pair.plane.bad = () => undefined;
    pair.connect(meshOf(ALL));
    await pair.runs(ALL);
    assert.equal(pair.plane.running.get('cluster/a'), good);
    assert.equal(pair.states().cluster, 'synced');
  });

  test(`${protocol}: a lost stream changes nothing; one that comes back to the same gets nothing again`, async () => {
    const pair = await pairOf(ALL);
    const [updates, responses] = [pair.plane.updates.length, pair.responses];
    pair.disconnect();
    await pair.runs(ALL);
    for (let i = 0; i < 3; i += 1) {
      pair.connect(meshOf(ALL));
      await pair.settle();
      pair.disconnect();
    }
    assert.equal(pair.responses, responses);
    assert.equal(pair.plane.updates.length, updates);
    pair.connect(meshOf({ ...ALL, endpoints: { a: '1', b: '2' } }));
    await pair.settle();
    assert.deepEqual(
      pair.plane.updates.slice(updates).flatMap(({ changed }) => changed.map(({ type, name }) => `${type}/${name}`)),
      ['endpoint/b'],
    );
  });

  test(`${protocol}: a control plane that has nothing is taken at its word, one that says nothing is not`, async () => {
    const pair = await pairOf(ALL);
    pair.disconnect();
    // It answers nobody.
    pair.client.opened(() => {});
    await pair.runs(ALL);
    pair.client.lost();
    pair.connect(EMPTY_SET);
    await pair.runs({});
  });

  test(`${protocol}: half of a change is not brought into force, nor forgotten when the stream is lost in the middle`, async () => {
    const pair = await pairOf(ALL);
    const next = { ...ALL, clusters: { ...ALL.clusters, c: '1' }, endpoints: { ...ALL.endpoints, c: '1' } };
    pair.stream!.serve(meshOf(next));
    assert.equal(pair.stream!.push(), true, 'clusters');
    assert.deepEqual(pair.client.missing, [{ type: 'endpoint', name: 'c' }]);
    pair.disconnect();
    await pair.runs(ALL);
    pair.connect(meshOf(next));
    await pair.runs(next);
  });

  test(`${protocol}: a stream that comes while a change is under way waits for what becomes of that`, async () => {
    const pair = await pairOf(ALL);
    let open = () => {};
    pair.plane.gate = new Promise((resolve) => {
      open = resolve;
    });
    const next = { ...ALL, clusters: { a: '2', b: '1' } };
    pair.stream!.serve(meshOf(next));
    await pair.settle();
    pair.disconnect();
    const responses = pair.responses;
    pair.connect(meshOf(next));
    await pair.settle();
    assert.equal(pair.responses, responses);
    open();
    await pair.runs(next);
    assert.equal(pair.states().cluster, 'synced');
    const version = meshOf(next).resources.get('cluster/a')!.version;
    assert.equal(pair.plane.running.get('cluster/a'), version);
  });

  test(`${protocol}: names that nobody has are given up when it is time, and come when they come`, async () => {
    const pair = await pairOf({ ...ALL, routes: {} });
    if (protocol === 'sotw') {
      assert.deepEqual(pair.client.missing, [{ type: 'route', name: 'web' }]);
      assert.equal(pair.plane.running.has('listener/web'), false);
      pair.client.giveUp();
      await pair.settle();
    }
    assert.deepEqual(pair.client.missing, []);
    assert.equal(pair.plane.running.has('listener/web'), true);
    pair.stream!.serve(meshOf(ALL));
    await pair.runs(ALL);
  });
}

/** Its last request of a type. */
function written(protocol: Protocol) {
  const requests: { readonly typeUrl: string; readonly error: string | undefined; readonly nonce: string }[] = [];
  const write = (bytes: Uint8Array) => {
    const {
      typeUrl,
      errorDetail,
      responseNonce: nonce,
    } = protocol === 'delta' ? fromBinary(DeltaDiscoveryRequestSchema, bytes) : fromBinary(DiscoveryRequestSchema, bytes);
    requests.push({ typeUrl, error: errorDetail?.message, nonce });
  };
  return { requests, write };
}

test('what cannot be read is refused with what is wrong, and has no effect', async () => {
  const pair = new Pair('delta');
  const { requests, write } = written('delta');
  pair.client.opened(write);
  const respond = (nonce: string, name: string, typeUrl: string, value: Uint8Array) =>
    pair.client.response(
      toBinary(
        DeltaDiscoveryResponseSchema,
        create(DeltaDiscoveryResponseSchema, {
          typeUrl: TYPE_URL.cluster,
          nonce,
          resources: [{ name, version: '1', resource: { typeUrl, value } }],
        }),
      ),
    );
  respond('n1', 'a', TYPE_URL.cluster, Buffer.from([0xff]));
  respond('n2', 'a', TYPE_URL.listener, new Uint8Array());
  respond('n3', 'a', TYPE_URL.cluster, toBinary(NodeSchema, create(NodeSchema, { id: 'b' })));
  const answers = requests.filter(({ error }) => error !== undefined);
  assert.deepEqual(
    answers.map(({ nonce }) => nonce),
    ['n1', 'n2', 'n3'],
  );
  assert.match(answers[0]!.error!, /^cluster a: it does not decode as envoy\.config\.cluster\.v3\.Cluster: /);
  assert.match(answers[1]!.error!, /^cluster a: it is a ".*Listener", not a .*Cluster$/);
  assert.equal(answers[2]!.error, 'cluster a: what is sent under this name is named b');
  assert.deepEqual(
    pair.unreadable,
    answers.map(({ error }) => error),
  );
  await pair.settle();
  assert.deepEqual(pair.plane.updates, []);
  assert.throws(() => pair.client.response(Buffer.from([0xff])), { code: 'xds-invalid-response' });
});

test('a state of the world with one name twice is refused; what was not asked for has no effect', () => {
  const pair = new Pair('sotw');
  const { requests, write } = written('sotw');
  pair.client.opened(write);
  const resource = anyPack(NodeSchema, create(NodeSchema, { id: 'a' }));
  const respond = (typeUrl: string) =>
    pair.client.response(
      toBinary(
        DiscoveryResponseSchema,
        create(DiscoveryResponseSchema, { typeUrl, nonce: 'n', resources: [1, 2].map(() => ({ ...resource, typeUrl })) }),
      ),
    );
  respond(TYPE_URL.listener);
  assert.equal(requests.at(-1)!.error, 'listener a is there twice');
  const before = requests.length;
  respond('type.googleapis.com/unknown');
  assert.equal(requests.length, before);
  assert.match(pair.unreadable.at(-1)!, /"type\.googleapis\.com\/unknown", which were not asked for$/);
});
