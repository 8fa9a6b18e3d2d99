/** What is said of clients, to whom. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type ChannelCredentials, Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { authorityIn } from '../../ca/folder.ts';
import type { Mesh } from '../../translate/model.ts';
import { DiscoveryRequestSchema, DiscoveryResponseSchema } from '../../xds/gen/envoy/service/discovery/v3/discovery_pb.js';
import {
  type ClientConfig,
  ClientConfigSchema,
  ClientStatusRequestSchema,
  ClientStatusResponseSchema,
  ConfigStatus,
} from '../../xds/gen/envoy/service/status/v3/csds_pb.js';
import { TYPE_URL } from '../../xds/resources.ts';
import { entryText } from '../testing.ts';
import { SYNC_STATUS, seenBy, toldStates } from './client-status.ts';
import { startedController } from './testing.ts';

const ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources';
const FETCH = '/envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus';
const asItIs = (bytes: Uint8Array) => Buffer.from(bytes);

function clientAt(t: TestContext, port: number, how: ChannelCredentials = credentials.createInsecure()): Client {
  const client = new Client(`127.0.0.1:${port}`, how, { 'grpc.ssl_target_name_override': 'istiod.istio-system.svc' });
  t.after(() => client.close());
  return client;
}

/** Sends a request on a stream of its own; resolves with the response. */
async function asked(t: TestContext, client: Client, request: MessageInitShape<typeof DiscoveryRequestSchema>) {
  const call = client.makeBidiStreamRequest(ADS, asItIs, asItIs);
  t.after(() => call.cancel());
  call.on('error', () => {});
  const fields = { ...request, $typeName: undefined };
  call.write(toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, fields as object)));
  const [bytes] = (await once(call, 'data')) as [Buffer];
  return { call, response: fromBinary(DiscoveryResponseSchema, bytes) };
}

const nodeOf = (name: string, namespace: string) => ({
  id: `sidecar~10.1.2.3~${name}.${namespace}~${namespace}.svc.cluster.local`,
  metadata: { SERVICE_ACCOUNT: name },
});

function told(configs: readonly ClientConfig[]): Record<string, string[]> {
  return Object.fromEntries(
    configs.map(({ node, genericXdsConfigs }) => [
      node!.id.split('~')[2]!,
      genericXdsConfigs.map(({ typeUrl, configStatus }) => `${typeUrl.split('.').at(-1)} ${ConfigStatus[configStatus]}`),
    ]),
  );
}

function unary<Desc extends DescMessage>(client: Client, path: string, schema: Desc, request: MessageInitShape<Desc>): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const bytes = toBinary(schema, create(schema, request));
    client.makeUnaryRequest(path, asItIs, asItIs, bytes, (error: ServiceError | null, answer) =>
      error ? reject(error) : resolve(answer!),
    );
  });
}

test('what clients made of what they were sent is told as Envoy’s service and Istio’s tools ask for it', { timeout: 30_000 }, async (t) => {
  const { plain } = await startedController(t, entryText('one.example.com'));
  const client = clientAt(t, plain);
  const { call, response } = await asked(t, client, { typeUrl: TYPE_URL.cluster, node: nodeOf('cart', 'shop') });
  const status = async () => fromBinary(ClientStatusResponseSchema, await unary(client, FETCH, ClientStatusRequestSchema, {})).config;
  assert.deepEqual(told(await status()), { 'cart.shop': ['Cluster STALE'] });
  const acknowledged = { typeUrl: TYPE_URL.cluster, versionInfo: response.versionInfo, responseNonce: response.nonce };
  call.write(toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, acknowledged)));
  while (told(await status())['cart.shop']![0] !== 'Cluster SYNCED');

  // As istioctl asks: it is no proxy, and is not counted as one.
  const node = { id: 'sidecar~10.0.0.1~test-1.default~default.svc.cluster.local', metadata: { GENERATOR: 'event' } };
  const { response: answer } = await asked(t, client, { typeUrl: SYNC_STATUS, node });
  const configs = answer.resources.map(({ typeUrl, value }) => {
    assert.equal(typeUrl, 'type.googleapis.com/envoy.service.status.v3.ClientConfig');
    return fromBinary(ClientConfigSchema, value);
  });
  assert.deepEqual(told(configs), { 'cart.shop': ['Cluster SYNCED'] });
  await assert.rejects(unary(client, FETCH, ClientStatusRequestSchema, { nodeMatchers: [{}] }), /node_matchers are not supported/);
});

test('whoever has to prove who they are is told of their own namespace, and of all from the root namespace', {
  timeout: 30_000,
}, async (t) => {
  const { tls, ca } = await startedController(t, entryText('one.example.com'));
  const authority = authorityIn(ca, 'cluster.local', Date.now());
  const as = (namespace: string, account: string) => {
    const { chain, key } = authority.issue(`spiffe://cluster.local/ns/${namespace}/sa/${account}`, Date.now());
    return clientAt(t, tls, credentials.createSsl(Buffer.from(authority.trusted), Buffer.from(key.reveal()), Buffer.from(chain)));
  };
  for (const [namespace, name] of [
    ['shop', 'cart'],
    ['bank', 'vault'],
  ] as const)
    await asked(t, as(namespace, name), { typeUrl: TYPE_URL.cluster, node: nodeOf(name, namespace) });
  const seen = async (client: Client) => {
    const { response } = await asked(t, client, { typeUrl: SYNC_STATUS });
    return Object.keys(told(response.resources.map(({ value }) => fromBinary(ClientConfigSchema, value)))).sort();
  };
  assert.deepEqual(await seen(as('bank', 'vault')), ['vault.bank']);
  assert.deepEqual(await seen(as('other', 'any')), []);
  assert.deepEqual(await seen(as('istio-system', 'operator')), ['cart.shop', 'vault.bank']);
  await assert.rejects(unary(as('shop', 'cart'), FETCH, ClientStatusRequestSchema, {}), /UNIMPLEMENTED/);
});

test('routes are in force where their virtual hosts are', () => {
  const routes = { type: 'route', state: 'synced', refusal: undefined } as const;
  const states = (state: 'synced' | 'stale' | 'nack') =>
    toldStates([routes, { type: 'virtualHost', state, refusal: undefined }]).map(({ type, state: told }) => `${type} ${told}`);
  assert.deepEqual(states('synced'), ['route synced', 'virtualHost synced']);
  assert.deepEqual(states('nack'), ['route nack', 'virtualHost nack']);
  assert.deepEqual(states('stale'), ['route stale', 'virtualHost stale']);
  assert.deepEqual(toldStates([routes]), [routes]);
});

test('a workload of another mesh sees no proxies, whatever its namespace is called', () => {
  const config = { rootNamespace: 'istio-system', trustDomain: 'cluster.local' } as Mesh['config'];
  assert.equal(seenBy(undefined, config), undefined);
  assert.equal(seenBy('spiffe://cluster.local/ns/istio-system/sa/admin', config), undefined);
  assert.equal(seenBy('spiffe://cluster.local/ns/shop/sa/cart', config), 'shop');
  for (const domain of ['elsewhere', 'cluster.local.elsewhere', 'elsewhere/cluster.local'])
    for (const namespace of ['istio-system', 'shop']) assert.equal(seenBy(`spiffe://${domain}/ns/${namespace}/sa/admin`, config), '');
});
