/** The configurations that the project started from, run as they are: each does what its README says. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type Certificate, makeCertificate, startServer } from './outside.ts';
import { needs } from './tools.ts';
import { run, World } from './world.ts';

const SEEDS = join(import.meta.dirname, '../../../shared/seeds');
const EGRESS = 'istio-egressgateway.istio-system.svc.cluster.local';
const seed = (name: string) => readFileSync(join(SEEDS, name), 'utf8');
const policy = (mode: 'REGISTRY_ONLY' | 'ALLOW_ANY') => ({ outboundTrafficPolicy: { mode } });
const skip = existsSync(SEEDS) ? needs('curl', 'openssl') : 'the seeds are not beside the repository';

async function clustersOf(world: World, lines: number): Promise<string[]> {
  return (await world.log(lines)).map(({ cluster }) => cluster).toSorted();
}

/** What curl printed, with the status behind it; `certificate` is what it trusts. */
async function curl(t: TestContext, certificate: Certificate | undefined, ...args: string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-seeds-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const trust = certificate ? ['--cacert', join(folder, 'ca.pem')] : [];
  if (certificate) writeFileSync(join(folder, 'ca.pem'), certificate.cert);
  return (await run('curl', ['-sS', '-m', '10', '-w', ' %{http_code}', ...trust, ...args])).stdout;
}

describe('http-egress', { skip }, () => {
  test('goes application, sidecar, gateway, host; with the gateway gone it fails and does not go round it', async (t) => {
    const web = await startServer(t);
    const world = await World.start(t, {
      files: { 'http-egress.yaml': seed('http-egress.yaml') },
      mesh: policy('REGISTRY_ONLY'),
      hosts: { 'edition.cnn.com': '198.18.0.1' },
      servers: { '198.18.0.1:80': web.port },
    });
    const call = () => curl(t, undefined, '-x', world.proxyUrl, 'http://edition.cnn.com/news');
    assert.equal(await call(), 'GET /news 200');
    assert.deepEqual(await clustersOf(world, 2), ['outbound|80||edition.cnn.com', `outbound|80||${EGRESS}`]);

    const spec = { selector: { istio: 'nowhere' }, ports: [{ name: 'http2', port: 80, targetPort: 8080 }] };
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'istio-egressgateway', namespace: 'istio-system' }, spec };
    world.write('service.json', JSON.stringify(service));
    await world.reload();
    assert.match(await call(), / 503$/);
    assert.equal(web.requests.length, 1);
  });
});

/** A server that answers PONG to whatever comes. */
async function startPong(t: TestContext): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {}).on('data', () => socket.write('+PONG\r\n')));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** As telnet through the explicit proxy: says PING once there is a connection, and returns the first answer, empty if it is closed instead. */
async function telnet(world: World, address: string): Promise<string> {
  const socket = connect(15_080, world.sidecar);
  socket.write(`CONNECT ${address} HTTP/1.1\r\nHost: ${address}\r\n\r\n`);
  let text = '';
  let asked = false;
  try {
    for await (const piece of socket.setEncoding('latin1')) {
      text += piece;
      const end = text.indexOf('\r\n\r\n') + 4;
      if (end < 4) continue;
      if (!asked) socket.write('PING\r\n');
      asked = true;
      if (text.length > end) return text.slice(end);
    }
  } catch (error) {
    // What is said to a connection that the other side has closed already is answered by a reset.
    if (!asked || !['ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  return '';
}

describe('redis', { skip }, () => {
  const DIRECT = ['outbound|6379||redis.domain'];
  const one = 'redis-1-serviceentry.yaml';
  const cases = [
    { name: 'ALLOW_ANY lets an undeclared address pass', mode: 'ALLOW_ANY', files: [], clusters: ['PassthroughCluster'] },
    { name: 'REGISTRY_ONLY closes an undeclared address', mode: 'REGISTRY_ONLY', files: [], clusters: ['BlackHoleCluster'] },
    { name: 'redis-1 declares the address', mode: 'REGISTRY_ONLY', files: [one], clusters: DIRECT },
    {
      name: 'redis-2 is faulty: still from the sidecar',
      mode: 'REGISTRY_ONLY',
      files: [one, 'redis-2-egress-faulty.yaml'],
      clusters: DIRECT,
    },
    {
      name: 'redis-3 goes through the gateway',
      mode: 'REGISTRY_ONLY',
      files: [one, 'redis-3-egress.yaml'],
      clusters: [`outbound|6379||${EGRESS}`, ...DIRECT],
    },
  ] as const;
  for (const { name, mode, files, clusters } of cases) {
    test(name, async (t) => {
      const pong = await startPong(t);
      const world = await World.start(t, {
        files: Object.fromEntries(files.map((file) => [file, seed(file)])),
        mesh: policy(mode),
        servers: { '10.59.118.59:6379': pong },
      });
      const refused = (clusters as readonly string[]).includes('BlackHoleCluster');
      assert.equal(await telnet(world, '10.59.118.59:6379'), refused ? '' : '+PONG\r\n');
      assert.deepEqual(await clustersOf(world, clusters.length), clusters.toSorted());
      if (files.length === 2 && files[1] === 'redis-2-egress-faulty.yaml') {
        await world.says(/servers\[0\]\.addresses: no such field/);
        // The analysis follows once the files are in force.
        await world.says(
          /No VirtualService on the mesh routes redis\.domain to an egress gateway.*: calls leave straight from the sidecar/,
        );
        await world.says(/No route uses subset redis-serviceentry/);
      }
    });
  }
});

describe('ingress', { skip }, () => {
  async function start(t: TestContext, name: string) {
    const certificate = makeCertificate('myapp.example.com');
    const app = await startServer(t);
    const metadata = { name: 'myapp-service', namespace: 'my-namespace' };
    const objects = [
      { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports: [{ name: 'http', port: 80 }] } },
      {
        apiVersion: 'v1',
        kind: 'Endpoints',
        metadata,
        subsets: [{ addresses: [{ ip: '198.18.0.7' }], ports: [{ name: 'http', port: 80 }] }],
      },
      {
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'kubernetes.io/tls',
        metadata: { name: 'tls-cert', namespace: 'istio-system' },
        stringData: { 'tls.crt': certificate.cert, 'tls.key': certificate.key },
      },
    ];
    const world = await World.start(t, {
      files: { [name]: seed(name), 'application.json': JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }) },
      servers: { '198.18.0.7:80': app.port },
    });
    const resolve = ['--resolve', `myapp.example.com:8443:${world.router}`, '--resolve', `other.example.com:8443:${world.router}`];
    return { world, app, call: (host: string) => curl(t, certificate, ...resolve, `https://${host}:8443/`) };
  }

  test('ingress-1 is faulty: 404 from the gateway, and the finding names the Gateway that there is', async (t) => {
    const { world, app, call } = await start(t, 'ingress-1-faulty.yaml');
    assert.equal(await call('myapp.example.com'), ' 404');
    assert.equal(app.requests.length, 0);
    await world.says(
      /Referenced gateway not found: "my-ingress-gateway" \(in namespace my-namespace\).*Write istio-system\/my-ingress-gateway/,
    );
  });

  test('ingress-2 is answered by the application with the secret’s certificate; another SNI gets no answer', async (t) => {
    const { app, call } = await start(t, 'ingress-2.yaml');
    assert.equal(await call('myapp.example.com'), 'GET / 200');
    assert.equal(await call('other.example.com'), ' 000');
    assert.equal(app.requests.length, 1);
  });
});

describe('tls-egress', { skip }, () => {
  async function start(t: TestContext, name: string) {
    const certificate = makeCertificate('api.external-service.com');
    const api = await startServer(t, { certificate });
    const world = await World.start(t, {
      files: { [name]: seed(name) },
      mesh: policy('REGISTRY_ONLY'),
      hosts: { 'api.external-service.com': '198.18.0.8' },
      servers: { '198.18.0.8:443': api.port },
    });
    return { world, call: () => curl(t, certificate, '-x', world.proxyUrl, 'https://api.external-service.com/v1') };
  }

  test('tls-egress-1 is faulty: each fault is said, and the traffic leaves from the sidecar, round the gateway', async (t) => {
    const { world, call } = await start(t, 'tls-egress-1-faulty.yaml');
    assert.equal(await call(), 'GET /v1 200');
    assert.deepEqual(await clustersOf(world, 1), ['outbound|443||api.external-service.com']);
    await world.says(
      /api\.external\.com is declared nowhere.*leave straight from the sidecar, round the gateway.*Did you mean api\.external-service\.com/,
    );
    await world.says(/Referenced gateway not found: "egress-gateway".*Did you mean istio-system\/my-egress-gateway/);
    await world.says(/gateways does not name mesh/);
    await world.says(/This match has no sniHosts/);
    await world.says(/an HTTPS port needs tls: mode PASSTHROUGH/);
  });

  test('tls-egress-2 goes through the gateway, and the client sees the server’s own certificate', async (t) => {
    const { world, call } = await start(t, 'tls-egress-2.yaml');
    assert.equal(await call(), 'GET /v1 200');
    assert.deepEqual(await clustersOf(world, 2), ['outbound|443||api.external-service.com', `outbound|443||${EGRESS}`].toSorted());
  });
});
