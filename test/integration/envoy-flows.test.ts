/** What `flows` shows of a stock Envoy while Sallyport stands still, and what a mesh's own logs have of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { findEnvoy } from '../../scripts/fetch-envoy.ts';
import type { Dropped, Flow } from '../../src/flows/flow.ts';
import { hostHere } from '../support/egress-text.ts';
import { freePort, Program } from './cli/program.ts';

const envoy = findEnvoy();
const skip = envoy === undefined ? 'no Envoy here: set ENVOY' : process.platform !== 'linux' && 'routers need the addresses of 127.0.0.0/8';

const ROUTER = '127.0.141.1';
const HTTP_PORT = 18080;
const TCP_PORT = 15432;

const files = (http: number, tcp: number) => `${hostHere('www', 'www.example.com', http)}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: db, namespace: default }
spec:
  hosts: [db.example.com]
  resolution: STATIC
  location: MESH_EXTERNAL
  ports: [{ number: 5432, name: tcp, protocol: TCP }]
  endpoints: [{ address: 127.0.0.1, ports: { tcp: ${tcp} } }]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: egress, namespace: default }
spec:
  selector: { istio: egressgateway }
  servers:
  - { port: { number: ${HTTP_PORT}, name: http, protocol: HTTP }, hosts: [www.example.com] }
  - { port: { number: ${TCP_PORT}, name: tcp, protocol: TCP }, hosts: ["*"] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: www, namespace: default }
spec:
  hosts: [www.example.com]
  gateways: [egress]
  http: [{ route: [{ destination: { host: www.example.com, port: { number: 80 } } }] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: db, namespace: default }
spec:
  hosts: ["*"]
  gateways: [egress]
  tcp: [{ match: [{ port: ${TCP_PORT} }], route: [{ destination: { host: db.example.com, port: { number: 5432 } } }] }]`;

async function place(t: TestContext, meshConfig = '{}') {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-envoy-flows-'));
  const http = createServer({ maxHeaderSize: 64 * 1024 }, (_asked, answer) => answer.end('hello\n')).listen(0, '127.0.0.1');
  const tcp = createTcpServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(0, '127.0.0.1');
  await Promise.all([once(http, 'listening'), once(tcp, 'listening')]);
  const file = join(folder, 'files.yaml');
  const mesh = join(folder, 'mesh.yaml');
  writeFileSync(file, files((http.address() as AddressInfo).port, (tcp.address() as AddressInfo).port));
  writeFileSync(mesh, meshConfig.replaceAll('FOLDER', folder));
  const [admin, capture] = [await freePort(), await freePort()];
  const none = ['--proxy-address', '0', '--dns-address', '0', '--status-address', '0', '--grace', '0s', '--console', 'off'];
  const ports = ['--admin-address', `127.0.0.1:${admin}`, '--capture-port', String(capture), '--router-address', ROUTER];
  const report = join(folder, 'report.json');
  const up = new Program([
    ...['up', file, '--mesh-config', mesh, '--engine', 'envoy', '--envoy', envoy!, '--report', report],
    ...[...ports, ...none],
  ]);
  t.after(async () => {
    up.child.kill('SIGCONT');
    await up.end();
    http.closeAllConnections();
    http.close();
    tcp.close();
    rmSync(folder, { recursive: true });
  });
  await up.says(/: ready/);
  const flows = new Program(['flows', '--run', String(up.child.pid), '-o', 'json']);
  t.after(() => flows.end());
  await flows.says(/watching/);
  return { folder, up, flows, report, capture };
}

function linesOf({ output }: Program): (Flow | Dropped)[] {
  return output
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Flow | Dropped);
}

async function until(flows: Program, isSo: () => boolean): Promise<void> {
  while (!isSo()) await once(flows.child.stdout!, 'data');
}

function ask(agent: Agent, path: string, port = HTTP_PORT, host = ROUTER): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ host, port, path, agent, headers: { host: 'www.example.com' } }, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode ?? 0));
    })
      .on('error', reject)
      .end();
  });
}

test('Envoy goes on while nobody reads what it tells; what it gives up is counted', { skip, timeout: 120_000 }, async (t) => {
  const { up, flows } = await place(t);
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  t.after(() => agent.destroy());
  assert.equal(await ask(agent, '/first'), 200);
  await until(flows, () => linesOf(flows).length === 2);
  up.child.kill('SIGSTOP');
  const asked = 3000;
  const statuses = await Promise.all(Array.from({ length: asked }, (_, i) => ask(agent, `/${'x'.repeat(16_000)}${i}`)));
  assert.deepEqual(new Set(statuses), new Set([200]));
  up.child.kill('SIGCONT');
  const count = () => linesOf(flows).reduce((sum, line) => sum + (line.kind === 'dropped' ? line.count : 0), 0);
  await until(flows, () => count() > 0);
  // What waits at Envoy goes first.
  while (!flows.output.includes('"path":"/last"')) assert.equal(await ask(agent, '/last'), 200);
  const told = linesOf(flows).filter(({ kind }) => kind === 'end').length;
  assert.ok(told > 2 && told < asked, `${told} ends`);
});

test("the mesh's own logs have a line for each call, as without flows", { skip, timeout: 60_000 }, async (t) => {
  const meshConfig = 'accessLogFile: FOLDER/access.log\naccessLogFormat: "%RESPONSE_CODE% %ACCESS_LOG_TYPE% %BYTES_RECEIVED%"\n';
  const { folder, up, flows } = await place(t, meshConfig);
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  assert.equal(await ask(agent, '/a'), 200);
  const socket = connect({ host: ROUTER, port: TCP_PORT });
  socket.write('hello');
  await once(socket, 'data');
  // Begun, and not ended.
  await until(flows, () => linesOf(flows).some((line) => line.kind === 'begin' && line.port === TCP_PORT));
  socket.end();
  await once(socket, 'close');
  await until(flows, () => linesOf(flows).filter(({ kind }) => kind === 'end').length === 2);
  const [http, tcp] = linesOf(flows).filter((line): line is Flow => line.kind === 'end');
  assert.deepEqual([http?.protocol, http?.verdict, http?.status], ['http', 'allowed', 200]);
  assert.deepEqual([tcp?.protocol, tcp?.verdict, tcp?.bytesSent, tcp?.bytesReceived], ['tcp', 'allowed', 5, 5]);
  await up.end();
  assert.deepEqual(readFileSync(join(folder, 'access.log'), 'utf8').split('\n').filter(Boolean), [
    '200 DownstreamEnd 0',
    '0 TcpConnectionEnd 5',
  ]);
});

test('the report of up counts what its sidecar carried, to the last call', { skip, timeout: 60_000 }, async (t) => {
  const { up, report, capture } = await place(t, 'outboundTrafficPolicy: { mode: REGISTRY_ONLY }\n');
  const socket = connect({ host: '127.0.0.1', port: capture });
  await once(socket.resume(), 'close');
  await up.end();
  const { calls } = JSON.parse(readFileSync(report, 'utf8')) as { calls: { host: string; verdict: string; count: number }[] };
  assert.deepEqual(
    calls.map(({ host, verdict, count }) => [host, verdict, count]),
    [['127.0.0.1', 'refused', 1]],
  );
});
