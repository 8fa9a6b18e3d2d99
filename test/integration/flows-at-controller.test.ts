/** Proxies of both engines tell a controller of their calls over the connection on which they have their configuration, and of no more than it asks for. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ChannelCredentials, Client, credentials, Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import { authorityIn } from '../../src/ca/folder.ts';
import { createLocalToken } from '../../src/ca/local-tokens.ts';
import { startedController } from '../../src/control/serving/testing.ts';
import type { Flow } from '../../src/flows/flow.ts';
import { RELAY_FLOWS } from '../../src/flows/remote/messages.ts';
import { freePort } from './cli/program.ts';
import { until } from './controller-world.ts';
import { programWorld, wwwEntry } from './program-world.ts';

const envoy = findEnvoy();
const ENGINES = [
  ['envoy', envoy === undefined && 'no Envoy here: set ENVOY'],
  ['embedded', false],
] as const;

const meshOf = (port: number, upstream: number) => `${wwwEntry(upstream)}
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: front, namespace: shop }
spec:
  selector: { app: front }
  servers: [{ port: { number: ${port}, name: http, protocol: HTTP }, hosts: [www.example.com] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: front, namespace: shop }
spec:
  hosts: [www.example.com]
  gateways: [front]
  http: [{ route: [{ destination: { host: www.example.com, port: { number: 80 } } }] }]
`;

/** The Service of the controllers, as a cluster has it. */
const controllers = (...addresses: readonly string[]) => `
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: istiod, namespace: istio-system, labels: { kubernetes.io/service-name: istiod } }
addressType: IPv4
endpoints: [${addresses.map((address) => `{ addresses: [${address}] }`).join()}]
`;

interface Starting {
  readonly engine: 'envoy' | 'embedded';
  /** Options of the proxy. */
  readonly more?: readonly string[];
  /** Of the controller; another one's at 127.0.0.1 is told of it. */
  readonly address?: string;
}

/** A controller, and a gateway that has its configuration there. */
async function started(t: TestContext, { engine, more = [], address = '127.0.0.1' }: Starting) {
  const { folder, upstream, run } = await programWorld(t, 'told', (_request, answer) => answer.end('there'));
  const port = await freePort('0.0.0.0');
  let changes = 0;
  const xdsTls = { address, port: await freePort(address) };
  const text = meshOf(port, upstream);
  const controller = await startedController(t, text, { xdsTls, tellersChanged: () => void changes++ });
  const token = join(folder, 'token');
  const { ca } = controller;
  const now = Date.now();
  writeFileSync(token, createLocalToken({ ca, namespace: 'shop', serviceAccount: 'front', audience: 'istio-ca', lifeMs: 600_000 }, now));
  const who = [
    '--role',
    'router',
    '--workload',
    'shop/front-1',
    '--service-account',
    'front',
    '--label',
    'app=front',
    '--concurrency',
    '1',
  ];
  const at = `${address}:${xdsTls.port}`;
  const roots = join(ca, 'root-cert.pem');
  const ends = ['--status-address', '0', '--metrics-address', '0', '--admin-address', '0', '--drain-duration', '1s'];
  const program =
    engine === 'envoy'
      ? run('agent', ...who, '--controller', at, '--root-cert', roots, '--token-file', token, '--envoy', envoy!, ...ends, ...more)
      : run('proxy', ...who, '--xds', at, '--xds-ca', roots, '--xds-token-file', token, ...ends, ...more);
  await program.says(/: ready/);
  await until(async () => controller.control.flows!.reach().proxies.some(({ tells }) => tells) || undefined);
  return { ...controller, text, xdsTls, port, program, hub: controller.control.flows!.hub, changes: () => changes };
}

async function called(port: number, host: string, path: string, headers = {}): Promise<number> {
  const request = get({ host: '127.0.0.1', port, path, headers: { host, ...headers }, agent: false });
  const [answer] = await once(request, 'response');
  answer.resume();
  return answer.statusCode;
}

function watched(hub: Awaited<ReturnType<typeof started>>['hub'], last: number) {
  const flows: Flow[] = [];
  const watching = hub.watch(
    { filter: () => true, sparing: true, take: (flow) => void flows.push(flow), dropped: () => {}, ended: () => {} },
    last,
  );
  const ended = (host: string) =>
    until(async () => flows.find((flow) => flow.kind === 'end' && flow.host === host && flow.verdict !== undefined));
  return { flows, ended, watching };
}

for (const [engine, skip] of ENGINES)
  test(`a controller hears of calls that were refused before anybody watched, and of all since (${engine})`, {
    skip,
    timeout: 120_000,
  }, async (t) => {
    const { port, hub, program, control, changes } = await started(t, { engine });
    await until(async () => (await called(port, 'www.example.com', '/before?secret=1')) === 200 || undefined);
    assert.equal(await called(port, 'evil.example.com', '/x?secret=1'), 404);
    // Of gRPC the status of HTTP does not say it.
    await called(port, 'grpc.example.com', '/p.S/M', { 'content-type': 'application/grpc' });
    const { flows, ended, watching } = watched(hub, 100);
    const end = await watching;
    const refused = await ended('evil.example.com');
    const { proxy, role, verdict, reason, status, path } = refused;
    assert.deepEqual([proxy, role, verdict, status, path], ['shop/front-1', 'router', 'refused', 404, '/x']);
    assert.equal(reason, 'not allowed');
    assert.equal((await ended('grpc.example.com')).verdict, 'refused');
    // What went well before is the embedded data plane's to remember: an Envoy's costs too much.
    assert.equal(
      flows.some(({ path: of }) => of === '/before'),
      engine === 'embedded',
    );
    flows.length = 0;
    assert.equal(await called(port, 'www.example.com', '/since?secret=1'), 200);
    const allowed = await ended('www.example.com');
    assert.deepEqual([allowed.verdict, allowed.path, allowed.status], ['allowed', '/since', 200]);
    assert.ok(!JSON.stringify(flows).includes('secret'));
    // Nobody watches any more.
    end();
    flows.length = 0;
    assert.equal(await called(port, 'evil.example.com', '/unwatched'), 404);
    await until(async () => (await hub.recent()).some(({ path: of }) => of === '/unwatched'));
    assert.deepEqual(flows, []);
    const before = changes();
    await program.end();
    await until(async () => control.flows!.reach().proxies.length === 0 || undefined);
    assert.ok(changes() > before);
  });

test('an Envoy with --flows tells of all calls from before, too', { skip: ENGINES[0][1], timeout: 120_000 }, async (t) => {
  const { port, hub } = await started(t, { engine: 'envoy', more: ['--flows'] });
  await until(async () => (await called(port, 'www.example.com', '/before')) === 200 || undefined);
  await until(async () => (await hub.recent()).some(({ verdict, path }) => verdict === 'allowed' && path === '/before') || undefined);
});

test('of several controllers each hears of the proxies of all, while somebody watches, and says of whom it does not', {
  timeout: 120_000,
}, async (t) => {
  const there = await started(t, { engine: 'embedded', address: '127.0.0.2' });
  const { ca, port, text, xdsTls } = there;
  const here = await startedController(t, text + controllers('127.0.0.1', '127.0.0.2'), {
    ca,
    xdsTls: { address: '127.0.0.1', port: xdsTls.port },
    tellersChanged: () => undefined,
  });
  const flowsHere = here.control.flows!;
  assert.deepEqual(flowsHere.reach(), { proxies: [], heard: 0, unheard: 1 });
  assert.equal(await called(port, 'before.example.com', '/'), 404);
  const { ended, watching } = watched(flowsHere.hub, 100);
  const end = await watching;
  const { proxy, role, verdict } = await ended('before.example.com');
  assert.deepEqual([proxy, role, verdict], ['shop/front-1', 'router', 'refused']);
  assert.deepEqual(flowsHere.reach(), { proxies: [{ proxy: 'shop/front-1', tells: true }], heard: 1, unheard: 0 });
  assert.equal(await called(port, 'since.example.com', '/'), 404);
  await ended('since.example.com');
  await there.control.close(0);
  // Calls wait for no controller.
  assert.equal(await called(port, 'after.example.com', '/'), 404);
  await until(async () => flowsHere.reach().unheard === 1);
  end();
  // Of a Service without the other one nothing is missing.
  here.write(text + controllers('127.0.0.1'));
  await here.control.reload();
  assert.equal(flowsHere.reach().unheard, 0);
});

test('nobody but controllers of the mesh is told of the calls of its proxies', { timeout: 60_000 }, async (t) => {
  const { ca, tls } = await startedController(t, meshOf(await freePort('0.0.0.0'), 1), { tellersChanged: () => undefined });
  const authority = authorityIn(ca, 'cluster.local', Date.now());
  const trusted = Buffer.from(authority.trusted);
  const by = (uri: string, hosts: readonly string[]) => {
    const { chain, key } = authority.issue(uri, Date.now(), hosts);
    return credentials.createSsl(trusted, Buffer.from(key.reveal()), Buffer.from(chain));
  };
  const asked = (how: ChannelCredentials) => {
    const client = new Client(`127.0.0.1:${tls}`, how, { 'grpc.ssl_target_name_override': 'istiod.istio-system.svc' });
    t.after(() => client.close());
    const asItIs = (bytes: Buffer) => bytes;
    const call = client.makeBidiStreamRequest(RELAY_FLOWS, asItIs, asItIs, new Metadata());
    call.on('error', () => undefined);
    return call;
  };
  const controller = 'spiffe://cluster.local/ns/istio-system/sa/sallyport-controller';
  for (const how of [
    credentials.createSsl(trusted),
    by('spiffe://cluster.local/ns/shop/sa/cart', []),
    // A token of that account gets such a certificate; the name no CA service gives.
    by(controller, []),
    by('spiffe://other.mesh/ns/istio-system/sa/sallyport-controller', ['istiod.istio-system.svc']),
  ]) {
    const call = asked(how);
    const code = await new Promise((resolve) => call.on('status', (given: StatusObject) => resolve(given.code)));
    assert.equal(code, status.PERMISSION_DENIED);
  }
  const [bytes] = await once(asked(by(controller, ['istiod.istio-system.svc'])), 'data');
  assert.deepEqual(JSON.parse(String(bytes)), { reach: [] });
});
