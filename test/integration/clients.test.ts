/** Real client programs through `sallyport up`: application, sidecar, egress gateway, server. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeCertificate, startServer } from './outside.ts';
import { startRedis } from './redis.ts';
import { findTool, needs } from './tools.ts';
import { run, World } from './world.ts';

const EGRESS = 'istio-egressgateway.istio-system.svc.cluster.local';
const REGISTRY_ONLY = { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } };

function serviceEntry(host: string, port: number, protocol: string, more = 'resolution: DNS'): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${host.replaceAll('.', '-')}, namespace: default}
spec:
  hosts: [${host}]
  location: MESH_EXTERNAL
  ports: [{number: ${port}, name: ${protocol.toLowerCase()}, protocol: ${protocol}}]
  ${more}
`;
}

/** The gateway's Service with HTTP/1.1 on port 80: Istio's own is named http2 there, and a WebSocket does not pass HTTP/2 without extended CONNECT. */
const HTTP1_GATEWAY = `apiVersion: v1
kind: Service
metadata: {name: istio-egressgateway, namespace: istio-system}
spec:
  selector: {istio: egressgateway}
  ports: [{name: http, port: 80, targetPort: 8080}]
`;

/** What sends a host's traffic through the egress gateway. */
function throughGateway(host: string, port: number, protocol: 'HTTP' | 'TLS' | 'TCP', addresses = ''): string {
  const name = host.replaceAll('.', '-');
  const tls = protocol === 'TLS' ? ', tls: {mode: PASSTHROUGH}' : '';
  const sni = protocol === 'TLS' ? `, sniHosts: [${host}]` : '';
  const kind = protocol.toLowerCase();
  return `${serviceEntry(host, port, protocol, `resolution: DNS${addresses}`)}---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ${name}, namespace: default}
spec:
  selector: {istio: egressgateway}
  servers: [{port: {number: ${port}, name: ${kind}-${port}, protocol: ${protocol}}, hosts: [${host}]${tls}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: default}
spec:
  hosts: [${host}]
  gateways: [mesh, ${name}]
  ${kind}:
  - match: [{gateways: [mesh], port: ${port}${sni}}]
    route: [{destination: {host: ${EGRESS}, port: {number: ${port}}}}]
  - match: [{gateways: [${name}], port: ${port}${sni}}]
    route: [{destination: {host: ${host}, port: {number: ${port}}}}]
`;
}

test('curl: HTTP by proxy, CONNECT and SOCKS5; HTTPS with the server’s own certificate; refusals', {
  skip: needs('curl', 'openssl'),
}, async (t) => {
  const certificate = makeCertificate('secure.test');
  const web = await startServer(t);
  const secure = await startServer(t, { certificate });
  const world = await World.start(t, {
    files: { 'web.yaml': throughGateway('web.test', 80, 'HTTP'), 'secure.yaml': throughGateway('secure.test', 443, 'TLS') },
    mesh: REGISTRY_ONLY,
    hosts: { 'web.test': '198.18.0.1', 'secure.test': '198.18.0.2', 'undeclared.test': '198.18.0.1' },
    servers: { '198.18.0.1:80': web.port, '198.18.0.2:443': secure.port },
  });
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-curl-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const ca = join(folder, 'ca.pem');
  writeFileSync(ca, certificate.cert);
  const curl = (...args: string[]) => run('curl', ['-sS', '-m', '10', '-w', ' %{http_code}', ...args]);
  const proxy = ['-x', world.proxyUrl];
  const viaGateway = [`outbound|80||${EGRESS}`, 'outbound|80||web.test'];
  let logged = 0;
  const clusters = async (lines: number) => {
    logged += lines;
    return (await world.log(logged)).slice(-lines).map(({ cluster }) => cluster);
  };

  assert.equal((await curl(...proxy, 'http://web.test/a?b=c')).stdout, 'GET /a?b=c 200');
  assert.deepEqual((await clusters(2)).toSorted(), viaGateway.toSorted());
  assert.equal(web.requests[0]!.headers.host, 'web.test');
  assert.equal((await curl(...proxy, '-p', '-d', 'x=1', 'http://web.test/tunnel')).stdout, 'POST /tunnel 200');
  assert.deepEqual((await clusters(2)).toSorted(), viaGateway.toSorted());
  assert.equal((await curl('--socks5-hostname', `${world.sidecar}:15080`, 'http://web.test/socks')).stdout, 'GET /socks 200');
  assert.deepEqual((await clusters(2)).toSorted(), viaGateway.toSorted());

  assert.equal((await curl(...proxy, '--cacert', ca, 'https://secure.test/s')).stdout, 'GET /s 200');
  assert.deepEqual((await clusters(2)).toSorted(), [`outbound|443||${EGRESS}`, 'outbound|443||secure.test'].toSorted());
  assert.equal((await curl('--socks5-hostname', `${world.sidecar}:15080`, '--cacert', ca, 'https://secure.test/')).stdout, 'GET / 200');
  assert.equal((await clusters(2)).length, 2);

  // HTTP is declared on port 80, so what is not declared gets an answer there; elsewhere it is closed.
  assert.equal((await curl(...proxy, 'http://undeclared.test/')).stdout, ' 502');
  assert.equal((await clusters(1)).length, 1);
  const refused = await curl(...proxy, 'https://undeclared.test/');
  assert.notEqual(refused.code, 0);
  assert.equal(refused.stdout, ' 000');
  const other = await curl('--socks5-hostname', `${world.sidecar}:15080`, 'http://web.test:8080/');
  assert.equal(other.stdout, ' 000');
  assert.equal(web.requests.length, 3);
  assert.equal(secure.requests.length, 2);
});

test('redis-cli and redis-server through the gateway; a refused connection is closed at once', {
  skip: needs('redis-cli', 'redis-server'),
}, async (t) => {
  const port = await startRedis(t);
  const world = await World.start(t, {
    files: { 'redis.yaml': throughGateway('redis.test', 6379, 'TCP', '\n  addresses: [198.18.0.3]') },
    mesh: REGISTRY_ONLY,
    hosts: { 'redis.test': '198.18.0.4' },
    servers: { '198.18.0.4:6379': port },
  });
  const cli = (...args: string[]) => run('redis-cli', ['-h', world.router, '-p', '6379', ...args]);
  assert.equal((await cli('ping')).stdout, 'PONG\n');
  assert.equal((await cli('set', 'greeting', 'hello')).stdout, 'OK\n');
  assert.equal((await cli('get', 'greeting')).stdout, 'hello\n');
  const [line] = await world.log(3);
  assert.equal(line!.cluster, 'outbound|6379||redis.test');

  // A pipe of 1,000 commands, and an answer of a megabyte.
  const commands = Array.from({ length: 1000 }, (_, index) => `set key${index} ${index}\r\n`).join('');
  assert.match((await run('redis-cli', ['-h', world.router, '-p', '6379', '--pipe'], commands)).stdout, /errors: 0, replies: 1000/);
  await run('redis-cli', ['-h', world.router, '-p', '6379', '-x', 'set', 'big'], 'x'.repeat(1_000_000));
  assert.equal((await cli('strlen', 'big')).stdout, '1000000\n');
  assert.equal((await cli('get', 'big')).stdout.length, 1_000_001);

  // As telnet would: nothing is sent, and the close comes at once. By the sidecar's captured port, for an address that nothing declares.
  const socket = connect(15_001, world.sidecar);
  const [received] = await Promise.all([bytesUntilClose(socket), once(socket, 'connect')]);
  assert.equal(received, '');
});

async function bytesUntilClose(socket: ReturnType<typeof connect>): Promise<string> {
  let text = '';
  for await (const piece of socket.setEncoding('utf8')) text += piece;
  return text;
}

test('openssl s_client: certificates by SNI at the gateway, passthrough beside termination, no SNI and an unknown one refused', {
  skip: needs('openssl'),
}, async (t) => {
  const own = makeCertificate('app.test');
  const outside = makeCertificate('secure.test');
  const app = await startServer(t);
  const secure = await startServer(t, { certificate: outside });
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name: 'app-cert', namespace: 'istio-system' },
    stringData: { 'tls.crt': own.cert, 'tls.key': own.key },
  };
  const ingress = `${serviceEntry('backend.test', 80, 'HTTP')}---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ingress, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: [app.test], tls: {mode: SIMPLE, credentialName: app-cert}}
  - {port: {number: 443, name: tls, protocol: TLS}, hosts: [secure.test], tls: {mode: PASSTHROUGH}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: app, namespace: default}
spec:
  hosts: [app.test]
  gateways: [istio-system/ingress]
  http: [{route: [{destination: {host: backend.test, port: {number: 80}}}]}]
---
${serviceEntry('secure.test', 443, 'TLS')}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: secure, namespace: default}
spec:
  hosts: [secure.test]
  gateways: [istio-system/ingress]
  tls: [{match: [{port: 443, sniHosts: [secure.test]}], route: [{destination: {host: secure.test, port: {number: 443}}}]}]
`;
  const world = await World.start(t, {
    files: { 'ingress.yaml': ingress, 'secret.json': JSON.stringify(secret) },
    hosts: { 'backend.test': '198.18.0.5', 'secure.test': '198.18.0.6' },
    servers: { '198.18.0.5:80': app.port, '198.18.0.6:443': secure.port },
  });
  const client = (...args: string[]) =>
    run(
      'openssl',
      ['s_client', '-connect', `${world.router}:8443`, ...args],
      'GET /x HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n',
    );
  const terminated = await client('-servername', 'app.test', '-alpn', 'http/1.1', '-ign_eof');
  assert.match(terminated.stdout, /subject=CN = app\.test/);
  assert.match(terminated.stdout, /ALPN protocol: http\/1\.1/);
  assert.match(terminated.stdout, /HTTP\/1\.1 200 [\s\S]*GET \/x/);
  assert.match((await client('-servername', 'secure.test')).stdout, /subject=CN = secure\.test/);
  assert.match((await client('-servername', 'other.test')).stdout, /no peer certificate available/);
  assert.match((await client('-noservername')).stdout, /no peer certificate available/);
  assert.equal(app.requests.length, 1);
});

test('a browser’s WebSocket through proxy, sidecar and gateway', { skip: needs('chromium') }, async (t) => {
  let report: (text: string) => void = () => {};
  const reported = new Promise<string>((resolve) => {
    report = resolve;
  });
  const page = `<script>
    const socket = new WebSocket('ws://web.test/echo');
    socket.onopen = () => socket.send('ping from the browser');
    socket.onmessage = ({ data }) => fetch('/report?' + encodeURIComponent(data));
    socket.onerror = () => fetch('/report?error');
  </script>`;
  const web = await startServer(t, {
    listener: (request, response) => {
      if (request.url!.startsWith('/report?')) report(decodeURIComponent(request.url!.slice('/report?'.length)));
      response.setHeader('content-type', 'text/html').end(request.url === '/' ? page : '');
    },
  });
  const world = await World.start(t, {
    files: { 'web.yaml': throughGateway('web.test', 80, 'HTTP'), 'service.yaml': HTTP1_GATEWAY },
    mesh: REGISTRY_ONLY,
    hosts: { 'web.test': '198.18.0.1' },
    servers: { '198.18.0.1:80': web.port },
  });
  const profile = mkdtempSync(join(tmpdir(), 'sallyport-browser-'));
  const quiet = [
    '--disable-background-networking',
    '--disable-component-update',
    '--no-first-run',
    '--disable-gpu',
    '--disable-dev-shm-usage',
  ];
  const browser = execFile(findTool('chromium')!, [
    '--headless',
    '--no-sandbox',
    ...quiet,
    `--user-data-dir=${profile}`,
    `--proxy-server=${world.proxyUrl}`,
    '--remote-debugging-port=0',
    'http://web.test/',
  ]);
  t.after(async () => {
    browser.kill('SIGKILL');
    if (browser.exitCode === null && browser.signalCode === null) await once(browser, 'exit');
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  const ended = once(browser, 'exit').then(() => 'the browser ended');
  assert.equal(await Promise.race([reported, ended]), 'ping from the browser');
  const upgrade = web.requests.find(({ headers }) => headers.upgrade === 'websocket');
  assert.equal(upgrade?.url, '/echo');
});
