import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { encoded } from '../encode.ts';
import { ListenerSchema } from '../gen/envoy/config/listener/v3/listener_pb.js';
import { HttpConnectionManagerSchema } from '../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { type ResourceType, TYPE_URL } from '../resources.ts';
import { warmedBy } from './references.ts';
import { type Contents, type Response, setOf, TestClient } from './testing.ts';

const TYPES = ['cluster', 'endpoint', 'listener', 'route'] as const;
const typeOf = ({ typeUrl }: Response) => TYPES.find((type) => TYPE_URL[type] === typeUrl)!;

/** A client that has all of a set, and asks for these endpoints and routes by name. */
function settled(protocol: 'sotw' | 'delta', contents: Contents, names: readonly string[]): TestClient {
  const client = new TestClient(protocol, setOf(contents));
  for (const type of TYPES) {
    const named = type === 'endpoint' || type === 'route' ? [...names] : [];
    if (protocol === 'delta') client.change(type, { resourceNamesSubscribe: named });
    else client.ask(type, { resourceNames: named });
  }
  for (let { responses } = client; responses.length > 0; { responses } = client)
    for (const one of responses) client.answer(typeOf(one), one, undefined, namesFor(typeOf(one), names));
  return client;
}

const namesFor = (type: ResourceType, names: readonly string[]) => (type === 'endpoint' || type === 'route' ? names : []);

/** What comes, in rounds: each is answered before the next. */
function rounds(client: TestClient, names: readonly string[]): string[][] {
  const seen: string[][] = [];
  for (let { responses } = client; responses.length > 0; { responses } = client) {
    seen.push(responses.map((one) => `${typeOf(one)} ${[...one.names, ...one.removed.map((name) => `-${name}`)].join(',')}`));
    for (const one of responses) client.answer(typeOf(one), one, undefined, namesFor(typeOf(one), names));
  }
  return seen;
}

const OLD: Contents = { clusters: { old: '1' }, endpoints: { old: '1' }, listeners: { old: '1' }, routes: { r: '1' } };
const NEW: Contents = { clusters: { now: '1' }, endpoints: { now: '1' }, listeners: { now: '1' }, routes: { r: '2' } };

test('what is new comes before what refers to it, and what is gone goes after it (incremental)', () => {
  const client = settled('delta', OLD, ['old', 'now', 'r']);
  client.stream.serve(setOf(NEW));
  assert.deepEqual(rounds(client, []), [
    ['cluster now', 'endpoint now'],
    ['listener now,-old', 'route r'],
    ['endpoint -old'],
    ['cluster -old'],
  ]);
});

test('what is new comes before what refers to it, and what is gone goes after it (state of the world)', () => {
  const names = ['old', 'now', 'r'];
  const client = settled('sotw', OLD, names);
  client.stream.serve(setOf(NEW));
  assert.deepEqual(rounds(client, names), [['cluster now,old', 'endpoint now'], ['listener now', 'route r'], ['cluster now']]);
});

test('while a listener is refused nothing is taken from under the one that stays', () => {
  const client = settled('delta', OLD, ['old', 'now', 'r']);
  client.stream.serve(setOf(NEW));
  const [clusters, endpoints] = client.responses;
  client.answer('cluster', clusters!);
  client.answer('endpoint', endpoints!);
  const [listeners, routes] = client.responses;
  client.answer('listener', listeners!, 'no');
  client.answer('route', routes!);
  assert.deepEqual(client.responses, []);
  client.stream.serve(setOf({ ...NEW, listeners: { now: '2' } }));
  assert.deepEqual(rounds(client, []).flat(), ['listener now,-old', 'endpoint -old', 'cluster -old']);
});

for (const protocol of ['sotw', 'delta'] as const) {
  test(`a cluster that changes gets its endpoints again (${protocol})`, () => {
    const client = settled(protocol, OLD, ['old', 'r']);
    client.stream.serve(setOf({ ...OLD, clusters: { old: '2' } }));
    assert.deepEqual(rounds(client, ['old', 'r']), [['cluster old', 'endpoint old']]);
  });
}

test('clusters that are acknowledged late, as Envoy does until they have warmed, hold back no endpoints', () => {
  const client = settled('delta', OLD, ['old', 'r']);
  client.stream.serve(setOf({ ...NEW, endpoints: { old: '1', now: '1' } }));
  const clusters = client.response;
  client.change('endpoint', { resourceNamesSubscribe: ['now'] });
  const endpoints = client.response;
  assert.deepEqual(endpoints.names, ['now']);
  client.answer('endpoint', endpoints);
  assert.deepEqual(client.responses, []);
  client.answer('cluster', clusters);
  assert.deepEqual(client.responses.map(typeOf), ['listener', 'route']);
});

test('the routes of a listener are those of all its chains', () => {
  const manager = (routeConfigName: string) => ({
    filters: [
      {
        name: 'http',
        configType: {
          case: 'typedConfig' as const,
          value: anyPack(
            HttpConnectionManagerSchema,
            create(HttpConnectionManagerSchema, { routeSpecifier: { case: 'rds', value: { routeConfigName } } }),
          ),
        },
      },
    ],
  });
  const listener = create(ListenerSchema, {
    name: 'l',
    filterChains: [manager('one'), manager('two'), manager('one'), { filters: [{ name: 'empty' }] }],
    defaultFilterChain: manager('other'),
  });
  const { bytes, version } = encoded(ListenerSchema, listener);
  const resource = { type: 'listener' as const, name: 'l', version, bytes: bytes() };
  assert.deepEqual(
    warmedBy(resource).map(({ type, name }) => `${type} ${name}`),
    ['route one', 'route two', 'route other'],
  );
});

test('a client that does not read is written one response, whatever happens, and then gets the newest', () => {
  const client = new TestClient('delta', setOf({ clusters: { a: '1' }, listeners: { l: '1' } }));
  client.stall();
  for (const type of TYPES) client.change(type);
  assert.equal(client.responses.length, 1);
  for (let version = 2; version < 1000; version += 1)
    client.stream.serve(setOf({ clusters: { a: `${version}` }, listeners: { l: `${version}` } }));
  assert.deepEqual(client.responses, []);
  assert.equal(client.written.length, 1);
});

test('requests that cannot be understood end the stream with what is wrong', () => {
  const node = { node: { id: 'test' } };
  const refusal = (act: (client: TestClient) => void, type?: ResourceType) => {
    const client = new TestClient('sotw', setOf({}), type);
    try {
      act(client);
    } catch (error) {
      return `${(error as { code: string }).code}: ${(error as Error).message}`;
    }
    return undefined;
  };
  assert.match(refusal((client) => client.stream.request(Buffer.from([0xff, 0xff])))!, /^xds-invalid-request: what came is no envoy/);
  assert.match(refusal((client) => client.ask('cluster', { node: undefined }))!, /^xds-invalid-request: the first request .* node/);
  assert.match(refusal((client) => client.ask('cluster', { ...node, typeUrl: '' }))!, /^xds-invalid-request: .* type_url/);
  assert.match(
    refusal((client) => client.ask('cluster', node), 'route')!,
    /^xds-invalid-request: this service has .*RouteConfiguration only/,
  );
  assert.equal(
    refusal((client) => client.ask('route', { ...node, typeUrl: '' }), 'route'),
    undefined,
  );
  assert.match(
    refusal((client) => {
      for (let i = 0; i < 100; i += 1) client.ask('cluster', { typeUrl: `type.googleapis.com/t${i}` });
    })!,
    /^xds-too-much: .* types/,
  );
  const names = Array.from({ length: 100_001 }, (_, i) => `n${i}`);
  assert.match(refusal((client) => client.ask('route', { resourceNames: names }))!, /^xds-too-much: .* names/);
});

test('streams that get the same get one response, put together once; on one stream no response is like the one before', () => {
  const set = setOf({ clusters: { a: '1', b: '1' } });
  const [one, two] = [new TestClient('sotw', set), new TestClient('sotw', set)];
  for (const client of [one, two]) client.ask('cluster');
  const [first, second] = [one.response, two.response];
  assert.deepEqual(first, second);
  assert.equal(one.written[0], two.written[0]);
  one.ask('cluster', { responseNonce: first.nonce, resourceNames: ['*', 'a'] });
  const again = one.response;
  assert.deepEqual(again.names, first.names);
  assert.notEqual(again.nonce, first.nonce);
});
