/** One stream between an Envoy and its control plane, without gRPC. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { rootSecret, workloadSecret } from '../ca/secrets.ts';
import { Redacted } from '../lib/redacted.ts';
import { SecretSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { DeltaDiscoveryRequestSchema, DeltaDiscoveryResponseSchema } from '../xds/gen/envoy/service/discovery/v3/discovery_pb.js';
import { TYPE_URL } from '../xds/resources.ts';
import { DeltaStream } from './delta-stream.ts';
import { Secrets } from './secrets.ts';

const own = (key: string) => workloadSecret('chain', new Redacted(Buffer.from(key)));

function stream(namesCame?: (table: Uint8Array | undefined) => void) {
  const secrets = new Secrets();
  secrets.put(own('one'), rootSecret('roots'));
  const [requests, responses, roots, refused]: [Uint8Array[], Uint8Array[], string[], string[]] = [[], [], [], []];
  const tables: string[][] = [];
  const made = new DeltaStream({
    secrets,
    told: 'all',
    toEnvoy: (bytes) => responses.push(bytes),
    toControlPlane: (bytes) => requests.push(bytes),
    rootsCame: (text) => roots.push(text),
    namesCame,
    refused: (reason) => refused.push(reason),
  });
  const asks = (type: keyof typeof TYPE_URL, request: MessageInitShape<typeof DeltaDiscoveryRequestSchema> = {}) => {
    const message = create(DeltaDiscoveryRequestSchema, request);
    message.typeUrl = TYPE_URL[type];
    made.fromEnvoy(toBinary(DeltaDiscoveryRequestSchema, message));
  };
  const answers = (nonce: string, ...given: (ReturnType<typeof own> | string)[]) => {
    const resources = given.flatMap((each) =>
      typeof each === 'string'
        ? []
        : [{ name: each.name, version: nonce, resource: { typeUrl: TYPE_URL.secret, value: toBinary(SecretSchema, each) } }],
    );
    const removedResources = given.filter((each) => typeof each === 'string');
    const message = create(DeltaDiscoveryResponseSchema, { typeUrl: TYPE_URL.secret, nonce, resources, removedResources });
    made.fromControlPlane(toBinary(DeltaDiscoveryResponseSchema, message));
  };
  /** What has come since it was last asked. */
  const told = () => requests.splice(0).map((bytes) => fromBinary(DeltaDiscoveryRequestSchema, bytes));
  const given = () => responses.splice(0).map((bytes) => fromBinary(DeltaDiscoveryResponseSchema, bytes));
  return { made, secrets, asks, answers, told, given, roots, refused, tables };
}

const NODE = { id: 'router~127.0.0.1~a.shop~shop.svc.cluster.local' };
const namesIn = (list: readonly { readonly name: string }[]) => list.map(({ name }) => name).sort();

test('own secrets are given here, each version once, and the control plane hears nothing of them', () => {
  const { secrets, asks, told, given, refused } = stream();
  asks('secret', { node: NODE, resourceNamesSubscribe: ['default', 'ROOTCA'] });
  const [first] = given();
  assert.deepEqual(namesIn(first!.resources), ['ROOTCA', 'default']);
  asks('secret', { responseNonce: first!.nonce });
  assert.deepEqual([told(), given()], [[], []]);
  secrets.put(own('two'), rootSecret('roots'));
  const [second] = given();
  assert.deepEqual(namesIn(second!.resources), ['default']);
  asks('secret', { responseNonce: second!.nonce, errorDetail: { code: 3, message: 'bad key' } });
  assert.deepEqual(refused, ['bad key']);
  assert.deepEqual([told(), given()], [[], []]);
  asks('secret', { resourceNamesUnsubscribe: ['default'] });
  secrets.put(own('three'));
  assert.deepEqual([told(), given()], [[], []]);
});

test('an Envoy that comes back with the version that there is gets nothing again', () => {
  const { secrets, asks, given } = stream();
  const { version } = secrets.get('default')!;
  asks('secret', {
    node: NODE,
    resourceNamesSubscribe: ['default', 'ROOTCA'],
    initialResourceVersions: { default: version, ROOTCA: 'old' },
  });
  assert.deepEqual(namesIn(given()[0]!.resources), ['ROOTCA']);
});

test('the first request that passes has the node, and asks for the roots of the mesh', () => {
  const { asks, answers, told, given, roots } = stream();
  asks('secret', { node: NODE, resourceNamesSubscribe: ['default'] });
  asks('cluster', { resourceNamesSubscribe: ['*'] });
  const [clusters, own] = told();
  assert.equal(clusters!.node?.id, NODE.id);
  assert.deepEqual([own!.typeUrl, own!.resourceNamesSubscribe], [TYPE_URL.secret, ['ROOTCA']]);
  given();
  answers('n1', rootSecret('both roots'));
  assert.deepEqual([roots, given().length], [['both roots'], 0]);
  assert.deepEqual(
    told().map(({ responseNonce }) => responseNonce),
    ['n1'],
  );
});

test('of the control plane’s secrets only others pass, and what Envoy says of them', () => {
  const { asks, answers, told, given } = stream();
  asks('cluster', { node: NODE, resourceNamesSubscribe: ['*'] });
  asks('secret', { resourceNamesSubscribe: ['default', 'kubernetes://tls'] });
  assert.deepEqual(told().at(-1)!.resourceNamesSubscribe, ['kubernetes://tls']);
  given();
  // A control plane that gives a key to this workload is not heard.
  answers('n1', own('of the control plane'), 'default', 'kubernetes://tls');
  const [passed] = given();
  assert.deepEqual([passed!.resources, passed!.removedResources, passed!.nonce], [[], ['kubernetes://tls'], 'n1']);
  asks('secret', { responseNonce: 'n1' });
  assert.deepEqual(
    told().map(({ responseNonce }) => responseNonce),
    ['n1'],
  );
});

test('the names of the mesh are asked for beside what Envoy asks, and Envoy hears nothing of them', () => {
  const came: (number | undefined)[] = [];
  const { made, asks, told, given } = stream((table) => {
    if (table?.length === 0) throw new Error('empty');
    came.push(table?.length);
  });
  const names = (nonce: string, about: MessageInitShape<typeof DeltaDiscoveryResponseSchema>) =>
    made.fromControlPlane(
      toBinary(DeltaDiscoveryResponseSchema, create(DeltaDiscoveryResponseSchema, { ...about, typeUrl: TYPE_URL.nameTable, nonce })),
    );
  const table = (value: Uint8Array) => ({ resources: [{ name: 'names', resource: { typeUrl: TYPE_URL.nameTable, value } }] });
  asks('cluster', { node: NODE });
  assert.ok(told().some(({ typeUrl }) => typeUrl === TYPE_URL.nameTable));
  names('1', table(new Uint8Array(3)));
  names('2', table(new Uint8Array()));
  names('3', { removedResources: ['names'] });
  assert.deepEqual(
    told().map(({ responseNonce, errorDetail }) => [responseNonce, errorDetail?.message]),
    [
      ['1', undefined],
      ['2', 'empty'],
      ['3', undefined],
    ],
  );
  assert.deepEqual([came, given()], [[3, undefined], []]);
});
