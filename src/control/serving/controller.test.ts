/** The control plane with clients of its own over gRPC. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type ChannelCredentials, Client, type ClientDuplexStream, credentials, Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { newAuthorityFiles, openAuthority } from '../../ca/authority.ts';
import { authorityIn } from '../../ca/folder.ts';
import { createLocalToken } from '../../ca/local-tokens.ts';
import { SecretSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from '../../xds/gen/envoy/service/discovery/v3/discovery_pb.js';
import { TYPE_URL } from '../../xds/resources.ts';
import { entryText } from '../testing.ts';
import { streamsJson } from './status.ts';
import { startedController } from './testing.ts';

const METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const NODE = nodeOf('cart', 'shop');

function nodeOf(name: string, namespace: string, metadata = {}) {
  return { id: `sidecar~10.1.2.3~${name}.${namespace}~${namespace}.svc.cluster.local`, metadata: { SERVICE_ACCOUNT: name, ...metadata } };
}

class Stream {
  readonly call: ClientDuplexStream<Uint8Array, Buffer>;
  readonly #news = new EventEmitter();
  readonly #client: Client;
  readonly #responses: DeltaDiscoveryResponse[] = [];
  #status: StatusObject | undefined;

  constructor(t: TestContext, port: number, how: ChannelCredentials = credentials.createInsecure(), metadata = new Metadata()) {
    // The certificate names no address.
    this.#client = new Client(`127.0.0.1:${port}`, how, { 'grpc.ssl_target_name_override': 'istiod.istio-system.svc' });
    const asItIs = (bytes: Uint8Array) => Buffer.from(bytes);
    this.call = this.#client.makeBidiStreamRequest(METHOD, asItIs, (bytes: Buffer) => bytes, metadata);
    this.call.on('data', (bytes: Buffer) => {
      this.#responses.push(fromBinary(DeltaDiscoveryResponseSchema, bytes));
      this.#news.emit('news');
    });
    this.call.on('error', () => {});
    this.call.on('status', (given: StatusObject) => {
      this.#status = given;
      this.#news.emit('news');
    });
    t.after(() => this.close());
  }

  close(): void {
    this.call.cancel();
    this.#client.close();
  }

  send(type: keyof typeof TYPE_URL, request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void {
    const message = create(DeltaDiscoveryRequestSchema, request);
    message.typeUrl = TYPE_URL[type];
    this.call.write(toBinary(DeltaDiscoveryRequestSchema, message));
  }

  async response(): Promise<DeltaDiscoveryResponse> {
    for (;;) {
      const next = this.#responses.shift();
      if (next) return next;
      if (this.#status) throw new Error(`the stream ended: ${this.#status.details}`);
      await once(this.#news, 'news');
    }
  }

  async end(): Promise<string> {
    while (!this.#status) await once(this.#news, 'news');
    return `${status[this.#status.code]}: ${this.#status.details}`;
  }
}

const credentialsOf = (authority: ReturnType<typeof openAuthority>, account: string, trusted = authority.trusted) => {
  const { chain, key } = authority.issue(`spiffe://cluster.local/ns/shop/sa/${account}`, Date.now());
  return credentials.createSsl(Buffer.from(trusted), Buffer.from(key.reveal()), Buffer.from(chain));
};

test('over mutual TLS a workload gets its own identity and nobody else’s', { timeout: 30_000 }, async (t) => {
  const { tls, plain, ca, events } = await startedController(t, entryText('one.example.com'));
  const authority = authorityIn(ca, 'cluster.local', Date.now());
  const own = new Stream(t, tls, credentialsOf(authority, 'cart'));
  own.send('secret', { node: NODE, resourceNamesSubscribe: ['default', 'ROOTCA', 'kubernetes://other'] });
  const { resources, removedResources } = await own.response();
  assert.deepEqual([resources.map(({ name }) => name).sort(), removedResources], [['ROOTCA', 'default'], ['kubernetes://other']]);
  const { type } = fromBinary(SecretSchema, resources.find(({ name }) => name === 'default')!.resource!.value);
  assert.ok(type.case === 'tlsCertificate');
  const certificate = new X509Certificate(String(type.value.certificateChain!.specifier.value));
  assert.equal(certificate.subjectAltName, 'URI:spiffe://cluster.local/ns/shop/sa/cart');

  const other = new Stream(t, tls, credentialsOf(authority, 'other'));
  other.send('secret', { node: NODE, resourceNamesSubscribe: ['default'] });
  assert.equal(
    await other.end(),
    'PERMISSION_DENIED: the client proved that it is spiffe://cluster.local/ns/shop/sa/other, but its node claims to be spiffe://cluster.local/ns/shop/sa/cart',
  );
  for (const namespace of ['bank', 'istio-system']) {
    const elsewhere = new Stream(t, tls, credentialsOf(authority, 'cart'));
    elsewhere.send('secret', { node: nodeOf('cart', namespace), resourceNamesSubscribe: ['default'] });
    assert.match(await elsewhere.end(), /^PERMISSION_DENIED/);
  }
  const stranger = openAuthority(newAuthorityFiles('cluster.local', Date.now()), 'another');
  const strangers: [ChannelCredentials, RegExp][] = [
    [credentialsOf(stranger, 'cart', authority.trusted), /^UNAUTHENTICATED: the client has neither a certificate of the mesh nor a bearer/],
    [credentials.createSsl(Buffer.from(authority.trusted)), /^UNAUTHENTICATED/],
    [credentials.createInsecure(), /^UNAVAILABLE/],
  ];
  for (const [how, expected] of strangers) {
    const stream = new Stream(t, tls, how);
    stream.send('secret', { node: NODE, resourceNamesSubscribe: ['default'] });
    assert.match(await stream.end(), expected);
  }

  // Whoever proved nothing may know whom to trust, no more.
  const unproven = new Stream(t, plain);
  unproven.send('secret', { node: NODE, resourceNamesSubscribe: ['default', 'ROOTCA'] });
  const answer = await unproven.response();
  assert.deepEqual([answer.resources.map(({ name }) => name), answer.removedResources], [['ROOTCA'], ['default']]);
  assert.deepEqual(
    events.flatMap((event) => (event.kind === 'withheld' ? [`${event.proxy.name}: ${event.secrets}`] : [])),
    ['cart: default'],
  );
});

test('a token says which node a client may be, as a certificate does', { timeout: 30_000 }, async (t) => {
  const { tls, ca } = await startedController(t, entryText('one.example.com'));
  const { trusted } = authorityIn(ca, 'cluster.local', Date.now());
  const token = createLocalToken({ ca, namespace: 'shop', serviceAccount: 'cart', audience: 'istio-ca', lifeMs: 60_000 }, Date.now());
  const open = (authorization: string) => {
    const metadata = new Metadata();
    metadata.set('authorization', authorization);
    return new Stream(t, tls, credentials.createSsl(Buffer.from(trusted)), metadata);
  };
  const own = open(`Bearer ${token}`);
  own.send('secret', { node: NODE, resourceNamesSubscribe: ['default'] });
  assert.equal((await own.response()).resources.length, 1);
  const other = open(`Bearer ${token}`);
  other.send('secret', { node: nodeOf('other', 'shop'), resourceNamesSubscribe: ['default'] });
  assert.match(await other.end(), /^PERMISSION_DENIED: the client proved that it is spiffe:\/\/cluster\.local\/ns\/shop\/sa\/cart/);
  // Whoever shows nothing of worth is refused before they say a word.
  assert.match(await open('Bearer x.y.z').end(), /^UNAUTHENTICATED: the token is refused/);
});

test('a workload that the files give another identity has to come back with a certificate of that one', { timeout: 30_000 }, async (t) => {
  const pod = (account: string) => `
apiVersion: v1
kind: Pod
metadata: { name: cart, namespace: shop, labels: { app: cart } }
spec: { serviceAccountName: ${account}, containers: [] }
---${entryText('one.example.com')}`;
  const { control, tls, ca, write } = await startedController(t, pod('cart'));
  const stream = new Stream(t, tls, credentialsOf(authorityIn(ca, 'cluster.local', Date.now()), 'cart'));
  stream.send('secret', { node: NODE, resourceNamesSubscribe: ['default'] });
  assert.deepEqual(
    (await stream.response()).resources.map(({ name }) => name),
    ['default'],
  );
  write(pod('root'));
  await control.reload();
  assert.match(await stream.end(), /^PERMISSION_DENIED: the files have another identity for this workload now/);
});

test('a node that is not understood, or says other than the files, ends its stream with the reason', { timeout: 30_000 }, async (t) => {
  const pod = `
apiVersion: v1
kind: Pod
metadata: { name: cart, namespace: shop, labels: { app: cart } }
spec: { serviceAccountName: cart, containers: [] }
---`;
  const { plain } = await startedController(t, `${pod}${entryText('one.example.com')}`);
  const ends = async (request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>) => {
    const stream = new Stream(t, plain);
    stream.send('cluster', request);
    return stream.end();
  };
  assert.match(await ends({ node: { id: 'me' } }), /^INVALID_ARGUMENT: node\.id "me" is not TYPE~/);
  assert.match(await ends({}), /^INVALID_ARGUMENT: the first request of a stream has to have a node/);
  assert.match(
    await ends({ node: nodeOf('cart', 'shop', { LABELS: { app: 'admin' } }) }),
    /^PERMISSION_DENIED: the node's label app is "admin"/,
  );
  const raw = new Stream(t, plain);
  raw.call.write(Buffer.from([0xff]));
  assert.match(await raw.end(), /^INVALID_ARGUMENT: what came is no envoy/);
});

test('a client that does not read delays nobody; proxies of one class share their bytes', { timeout: 30_000 }, async (t) => {
  const { control, plain, write, events } = await startedController(t, entryText('one.example.com'));
  const deaf = new Stream(t, plain);
  deaf.send('cluster', { node: NODE });
  await deaf.response();
  deaf.call.pause();
  const good = new Stream(t, plain);
  good.send('cluster', { node: nodeOf('wagon', 'shop') });
  let last = await good.response();
  for (const host of ['two', 'three', 'four']) {
    write(entryText(`${host}.example.com`));
    await control.reload();
    good.send('cluster', { responseNonce: last.nonce });
    last = await good.response();
    assert.ok(last.resources.some(({ name }) => name.includes(`${host}.example.com`)));
  }
  const [one, two] = control.report.proxies;
  assert.equal(one!.resources.clusters, two!.resources.clusters);
  assert.deepEqual(
    events.filter(({ kind }) => kind === 'failed'),
    [],
  );
});

test('a proxy that nobody is connected as is translated no more, after a while', { timeout: 30_000 }, async (t) => {
  const { control, plain, write } = await startedController(t, entryText('one.example.com'), { keepMs: 1 });
  const stream = new Stream(t, plain);
  stream.send('cluster', { node: NODE });
  await stream.response();
  assert.deepEqual(
    control.report.proxies.map(({ identity }) => identity.name),
    ['cart'],
  );
  stream.close();
  while (control.report.proxies.length > 0) await new Promise((resolve) => setImmediate(resolve));
  write(entryText('two.example.com'));
  await control.reload();
  assert.deepEqual(control.report.proxies, []);
});

test('addresses that would serve strangers, nobody, or are taken are errors', async (t) => {
  const address = '127.0.0.1';
  const none = { address, port: 0 };
  const usage = { code: 'usage' };
  await assert.rejects(startedController(t, '', { xds: { address: '0.0.0.0', port: 15010 } }), usage);
  await assert.rejects(startedController(t, '', { xds: { address: '::', port: 15010 } }), usage);
  await assert.rejects(startedController(t, '', { xds: none, xdsTls: undefined }), usage);
  await assert.rejects(startedController(t, '', { ca: undefined }), usage);
  const server = createServer().listen(0, address);
  await once(server, 'listening');
  t.after(() => server.close());
  await assert.rejects(startedController(t, '', { xds: { address, port: (server.address() as AddressInfo).port } }), {
    code: 'port-in-use',
    message: /--xds/,
  });
  assert.deepEqual(streamsJson([]), []);
});
