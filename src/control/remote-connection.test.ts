/** The client's connection to a control plane: whom it takes for that, and what it says when that is gone. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { type ChannelCredentials, Server, ServerCredentials } from '@grpc/grpc-js';
import { newAuthorityFiles, openAuthority, type WorkloadCertificate } from '../ca/authority.ts';
import type { GrpcServer, ServerTls } from '../lib/grpc/server.ts';
import { CONTROL_PLANE_HOST } from '../lib/spiffe.ts';
import { clientCredentials } from '../xds/ads/client-credentials.ts';
import { Connection, type ConnectionEvent } from '../xds/ads/connection.ts';
import { startAdsServer } from '../xds/ads/server.ts';
import { DeltaDiscoveryRequestSchema } from '../xds/gen/envoy/service/discovery/v3/discovery_pb.js';
import { TYPE_URL } from '../xds/resources.ts';

const address = '127.0.0.1';
const TIMES = { first: 1, most: 20 };
const REQUEST = toBinary(
  DeltaDiscoveryRequestSchema,
  create(DeltaDiscoveryRequestSchema, { typeUrl: TYPE_URL.cluster, node: { id: 'me' } }),
);

/** A control plane that admits everybody and says nothing. */
function serverAt(port: number, tls?: ServerTls): Promise<GrpcServer> {
  const admit = () => ({ refused: () => {}, left: () => {} });
  return startAdsServer({ listen: { address, port }, option: '--xds', tls, admit });
}

/** What a client of that port is told of, event by event. */
function clientOf(t: TestContext, port: number, credentials: () => ChannelCredentials = () => clientCredentials(address, undefined)) {
  const events: ConnectionEvent[] = [];
  const news = new EventEmitter();
  const connection = new Connection({
    target: { address, port },
    protocol: 'delta',
    credentials,
    times: TIMES,
    tell: (event) => {
      events.push(event);
      news.emit('told');
    },
    client: { opened: (write) => write(REQUEST), lost: () => {}, response: () => {} },
  });
  t.after(() => connection.close());
  return {
    connection,
    async next(): Promise<string> {
      while (events.length === 0) await once(news, 'told');
      const event = events.shift()!;
      return event.kind === 'lost' ? `lost: ${event.reason}` : event.kind;
    },
  };
}

test('that a control plane is gone is said once, and that it is back', { timeout: 30_000 }, async (t) => {
  const first = await serverAt(0);
  const client = clientOf(t, first.port);
  assert.equal(await client.next(), 'connected');
  await first.close(1000);
  assert.equal(await client.next(), 'lost: the control plane is ending');
  const second = await serverAt(first.port);
  assert.equal(await client.next(), 'connected');
  client.connection.renew();
  assert.equal(await client.next(), 'connected');
  await second.close(1000);
});

test('one without the incremental protocol is told apart', { timeout: 30_000 }, async (t) => {
  const server = new Server();
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${address}:0`, ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  t.after(() => server.forceShutdown());
  assert.match(await clientOf(t, port).next(), /^lost: .*; one without the incremental protocol needs --xds-protocol sotw$/);
});

test('over TLS only who has the name of a control plane, by the CA that is trusted, is heard', { timeout: 30_000 }, async (t) => {
  const now = Date.now();
  const mesh = openAuthority(newAuthorityFiles('cluster.local', now), 'mesh');
  const stranger = openAuthority(newAuthorityFiles('cluster.local', now), 'stranger');
  const uri = 'spiffe://cluster.local/ns/istio-system/sa/sallyport-controller';
  const told = async ({ chain, key }: WorkloadCertificate) => {
    const server = await serverAt(0, { cert: chain, key: key.reveal().toString(), ca: mesh.trusted });
    t.after(() => server.close(0));
    const own = mesh.issue('spiffe://cluster.local/ns/shop/sa/cart', now);
    const tls = { ca: mesh.trusted, own: { certificate: own.chain, key: own.key.reveal().toString() } };
    return clientOf(t, server.port, () => clientCredentials(address, tls)).next();
  };
  assert.equal(await told(mesh.issue(uri, now, [CONTROL_PLANE_HOST])), 'connected');
  assert.match(await told(mesh.issue(uri, now)), /^lost: .*[Hh]ostname/, 'a workload of the mesh');
  assert.match(await told(mesh.issue(uri, now, ['other.example.com'])), /^lost: .*[Hh]ostname/);
  assert.match(await told(stranger.issue(uri, now, [CONTROL_PLANE_HOST])), /^lost: .*(self|verify|certificate)/);
});

test('files of certificates that cannot be read for a moment are read again', { timeout: 30_000 }, async (t) => {
  const server = await serverAt(0);
  t.after(() => server.close(0));
  let tries = 0;
  const client = clientOf(t, server.port, () => {
    tries += 1;
    if (tries < 3) throw new Error('key.pem cannot be read');
    return clientCredentials(address, undefined);
  });
  assert.equal(await client.next(), 'lost: key.pem cannot be read');
  assert.equal(await client.next(), 'connected');
});
