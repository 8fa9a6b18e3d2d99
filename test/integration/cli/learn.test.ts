/** `up --learn` records a run of real clients; its proposal, enforced, allows that run's calls through the gateway and nothing else. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { makeCertificate, startServer } from '../outside.ts';
import { needs } from '../tools.ts';
import { run, World } from '../world.ts';
import { freePort, Program } from './program.ts';

const REGISTRY_ONLY = { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } };
const EGRESS = 'istio-egressgateway.istio-system.svc.cluster.local';
const skip = needs('curl', 'openssl');

function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-learn-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A TCP server; ends with the test. Returns its port. */
async function startTcp(t: TestContext, serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    serve(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

/** What comes by SOCKS5 (RFC 1928) from an address whose server speaks first; empty if the connection is closed without a word. */
async function greeting(proxy: string, ip: string, port: number): Promise<string> {
  const socket = connect(15_080, proxy);
  socket.on('error', () => {});
  const bytes: Buffer[] = [];
  const reply = 2 + 10;
  const length = () => bytes.reduce((sum, { length: more }) => sum + more, 0);
  socket.write(Buffer.from([5, 1, 0, 5, 1, 0, 1, ...ip.split('.').map(Number), port >> 8, port & 255]));
  const ended = new Promise<void>((resolve) => {
    socket.on('close', resolve);
    socket.on('data', (piece) => {
      bytes.push(piece);
      if (length() > reply) resolve();
    });
  });
  await ended;
  socket.destroy();
  return Buffer.concat(bytes).toString('latin1', reply);
}

/** The outside: two web servers, one with TLS, one that speaks Redis, one that speaks first. */
async function startOutside(t: TestContext) {
  const certificate = makeCertificate('secure.test');
  const ca = join(temporary(t), 'ca.pem');
  writeFileSync(ca, certificate.cert);
  const web = await startServer(t);
  const secure = await startServer(t, { certificate });
  const redis = await startTcp(t, (socket) => socket.once('data', (data) => socket.end(`+PONG to ${data.toString().trim()}\r\n`)));
  const mail = await startTcp(t, (socket) => socket.write('220 ready\r\n'));
  const hosts = { 'www.test': '198.18.0.1', 'api.test': '198.18.0.1', 'other.test': '198.18.0.1', 'secure.test': '198.18.0.2' };
  const servers = {
    ...Object.fromEntries([80, 81, 8080].map((port) => [`198.18.0.1:${port}`, web.port])),
    '198.18.0.1:443': secure.port,
    '198.18.0.2:443': secure.port,
    '198.18.0.2:8443': secure.port,
    '198.18.0.3:6379': redis,
    '198.18.0.3:6380': redis,
    '198.18.0.5:6379': redis,
    '198.18.0.4:25': mail,
    '198.18.0.5:25': mail,
  };
  return { ca, hosts, servers };
}

/** Calls as an application makes them, and the answer or, where there is none, nothing. */
function caller(world: World, ca: string) {
  const curl = async (...args: string[]) => {
    const { stdout } = await run('curl', ['-s', '-m', '10', '-w', ' %{http_code}', '--cacert', ca, ...args]);
    return stdout;
  };
  const socks = ['--socks5-hostname', `${world.sidecar}:15080`];
  return {
    http: (url: string) => curl('-x', world.proxyUrl, url),
    tunnel: (url: string) => curl('-p', '-x', world.proxyUrl, url),
    socks: (url: string) => curl(...socks, url),
    /** By a client that resolves names itself. */
    resolved: (url: string, ip: string) => {
      const { hostname, port } = new URL(url);
      return curl('--resolve', `${hostname}:${port || 80}:${ip}`, '--socks5', `${world.sidecar}:15080`, url);
    },
    https: (url: string, name: string) =>
      curl('-k', '-x', world.proxyUrl, '--connect-to', `${name}::${new URL(url).host}`, `https://${name}/`),
    redis: async (address: string) => (await run('curl', ['-s', '-m', '10', ...socks, `gopher://${address}/_PING`])).stdout,
    greeting: (ip: string, port: number) => greeting(world.sidecar, ip, port),
  };
}
type Caller = ReturnType<typeof caller>;

/** The run: each call, its answer, and the cluster by which the gateway sends it out. */
const RUN: readonly (readonly [(call: Caller) => Promise<string>, string, string])[] = [
  [(call) => call.http('http://www.test/a?b=c'), 'GET /a?b=c 200', 'outbound|80||www.test'],
  [(call) => call.tunnel('http://www.test/tunnel'), 'GET /tunnel 200', 'outbound|80||www.test'],
  [(call) => call.socks('http://api.test:8080/v1'), 'GET /v1 200', 'outbound|8080||api.test'],
  [(call) => call.http('https://secure.test/s'), 'GET /s 200', 'outbound|443||secure.test'],
  [(call) => call.socks('https://secure.test/socks'), 'GET /socks 200', 'outbound|443||secure.test'],
  [(call) => call.redis('198.18.0.3:6379'), '+PONG to PING\r\n', 'outbound|6379||address-198-18-0-3.external'],
  [(call) => call.greeting('198.18.0.4', 25), '220 ready\r\n', 'outbound|25||address-198-18-0-4.external'],
];

/** Calls that were not made: other hosts, ports and server names, and the recorded ones in another protocol. */
const OTHERS: readonly ((call: Caller) => Promise<string>)[] = [
  (call) => call.http('http://other.test/'),
  (call) => call.tunnel('http://other.test/'),
  (call) => call.http('http://api.test/'),
  (call) => call.socks('http://www.test:8080/'),
  (call) => call.http('http://www.test:81/'),
  (call) => call.http('https://www.test/'),
  (call) => call.https('https://secure.test:443', 'other.test'),
  (call) => call.socks('https://secure.test:8443/'),
  (call) => call.redis('198.18.0.3:6380'),
  (call) => call.redis('198.18.0.5:6379'),
  (call) => call.greeting('198.18.0.5', 25),
];

test('a recorded run is allowed, each call through the gateway, and nothing else is', { skip }, async (t) => {
  const { ca, hosts, servers } = await startOutside(t);
  const file = join(temporary(t), 'learned.yaml');
  const learning = await World.start(t, { files: {}, mesh: REGISTRY_ONLY, hosts, servers, args: ['--learn', file] });
  const first = caller(learning, ca);
  for (const [i, [make, answer]] of RUN.entries()) assert.equal(await make(first), answer, `call ${i} while learning`);
  // Also before the end.
  await learning.says(/learned tcp:\/\/198\.18\.0\.4:25/);
  const { code, output } = await learning.stop();
  assert.equal(code, 0, output + learning.errors);
  assert.match(output, /5 destinations of 7 calls/);
  assert.match(output, /7 recorded calls made again: none breaks/);
  assert.match(output, /proved: no workload reaches a host outside the mesh but through an egress gateway/);
  assert.match(output, /proved: no workload reaches a host that was not recorded/);

  const proposal = readFileSync(file, 'utf8');
  assert.match(proposal, /# www\.test:80 HTTP: 2 calls, last 20\d\d-/);
  assert.match(proposal, /# secure\.test:443 TLS: 2 calls/);
  const world = await World.start(t, { files: { 'learned.yaml': proposal }, mesh: REGISTRY_ONLY, hosts, servers });
  const again = caller(world, ca);
  let logged = 0;
  for (const [i, [make, answer, cluster]] of RUN.entries()) {
    assert.equal(await make(again), answer, `call ${i} under the proposal`);
    logged += 2;
    const lines = (await world.log(logged)).slice(-2).map((line) => line.cluster);
    assert.ok(lines.includes(cluster), `call ${i} leaves by ${cluster}: ${lines}`);
    assert.ok(
      lines.some((one) => /\|\|istio-egressgateway(-learned)?\.istio-system/.test(one)),
      `call ${i} goes to the gateway: ${lines}`,
    );
  }
  for (const [i, make] of OTHERS.entries()) assert.match(await make(again), /^( 000| 502)?$/, `other call ${i}`);
  assert.equal((await world.stop()).code, 0);

  const verify = new Program(['verify', '--adversary', 'captured', '--mesh-config', join(world.folder, '../mesh.yaml'), file]);
  assert.equal(await verify.exit, 0, verify.output);
  assert.match(
    verify.output,
    /PROVED \(captured, \d+ calls tried\): no workload reaches a host outside the mesh but through an egress gateway/,
  );
  const explain = async (url: string) => {
    const program = new Program(['explain', '--mesh-config', join(world.folder, '../mesh.yaml'), '-f', file, url]);
    return { code: await program.exit, said: program.output };
  };
  const [allowed, refused] = await Promise.all([explain('http://api.test:8080/other'), explain('http://api.test/')]);
  assert.equal(allowed.code, 0, allowed.said);
  assert.match(allowed.said, new RegExp(EGRESS.replaceAll('.', '\\.')));
  assert.equal(refused.code, 1, refused.said);
});

test('the log of a mesh that runs on a proposal gives that proposal again', { skip }, async (t) => {
  const { ca, hosts, servers } = await startOutside(t);
  const file = join(temporary(t), 'learned.yaml');
  const learning = await World.start(t, { files: {}, hosts, servers, args: ['--learn', file] });
  for (const [make, answer] of RUN) assert.equal(await make(caller(learning, ca)), answer);
  await learning.stop();
  const proposal = readFileSync(file, 'utf8');
  const resources = (text: string) => parseAllDocuments(text).map((document) => document.toJS());
  // Istio's default format.
  const mesh = { ...REGISTRY_ONLY, accessLogEncoding: 'TEXT', accessLogFormat: '' };
  const world = await World.start(t, { files: { 'learned.yaml': proposal }, mesh, hosts, servers });
  for (const [make, answer] of RUN) assert.equal(await make(caller(world, ca)), answer);
  const { output } = await world.stop();
  const log = join(world.folder, '../access.log');
  writeFileSync(log, output);
  const program = new Program(['learn', log]);
  assert.equal(await program.exit, 0, program.errors);
  assert.deepEqual(resources(program.output), resources(proposal), output);
  assert.match(program.output, /# secure\.test:443 TLS: 2 calls/);
});

test('what is declared stays in force and is not proposed again; learning goes on from a proposal', { skip }, async (t) => {
  const { ca, hosts, servers } = await startOutside(t);
  const folder = temporary(t);
  const declared = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: www, namespace: default}
spec: {hosts: [www.test], location: MESH_EXTERNAL, resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: www, namespace: default}
spec: {hosts: [www.test], http: [{match: [{uri: {prefix: /private}}], directResponse: {status: 403}}, {route: [{destination: {host: www.test}}]}]}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: default}
spec: {egress: [{hosts: ["*/*"]}], outboundTrafficPolicy: {mode: REGISTRY_ONLY}}
`;
  const options = { files: { 'www.yaml': declared }, mesh: REGISTRY_ONLY, hosts, servers, args: ['--learn', folder] };
  const learning = await World.start(t, options);
  const call = caller(learning, ca);
  assert.equal(await call.http('http://www.test/'), 'GET / 200');
  assert.equal(await call.http('http://www.test/private'), ' 403');
  assert.equal(await call.http('http://other.test/'), 'GET / 200');
  assert.equal(await call.resolved('http://www.test:81/', '198.18.0.1'), 'GET / 200');
  await learning.says(/learned http:\/\/www\.test:81/);
  const { code, output } = await learning.stop();
  // The declared host has a way round the gateway, and its port 81 is refused still.
  assert.equal(code, 1, output + learning.errors);
  assert.match(output, /not proposed: www\.test:81 HTTP, 1 call: ServiceEntry default\/www declares this host/);
  assert.match(output, /refuted: no workload reaches a host outside the mesh but through an egress gateway/);
  const file = join(folder, 'learned.yaml');
  const first = readFileSync(file, 'utf8');
  assert.match(first, /hosts:\n +- other\.test\n/);
  assert.doesNotMatch(first, /^[^#]*www\.test/m);

  const next = await World.start(t, options);
  assert.equal(await caller(next, ca).http('http://other.test/'), 'GET / 200');
  assert.equal(await caller(next, ca).http('http://api.test:8080/'), 'GET / 200');
  await next.says(/learned http:\/\/api\.test:8080/);
  await next.stop();
  const second = readFileSync(file, 'utf8');
  assert.match(second, /# other\.test:80 HTTP: 2 calls/);
  assert.match(second, /# api\.test:8080 HTTP: 1 call,/);
});

test('nothing called: nothing written; a file that is read, or is no proposal, is refused', { skip }, async (t) => {
  const folder = temporary(t);
  const file = join(folder, 'learned.yaml');
  const world = await World.start(t, { files: {}, args: ['--learn', file] });
  assert.equal((await fetch(`http://${world.sidecar}:15021/status`)).status, 200);
  const { code, output } = await world.stop();
  assert.equal(code, 0, world.errors);
  assert.match(output, /Nothing was called that the files do not declare/);
  assert.equal(existsSync(file), false);

  const mesh = join(folder, 'mesh');
  const refusal = async (...args: string[]) => {
    const program = new Program(['up', ...args]);
    assert.equal(await program.exit, 2, program.errors);
    return program.errors;
  };
  writeFileSync(join(folder, 'egress.yaml'), '# mine\n');
  const [inside, self, foreign, none] = await Promise.all([
    refusal(folder, '--learn', join(folder, 'x.yaml')),
    refusal(join(folder, 'egress.yaml'), '--learn', join(folder, 'egress.yaml')),
    refusal('--learn', join(folder, 'egress.yaml')),
    refusal(),
  ]);
  assert.match(inside, /is in .*, which is read/);
  assert.match(self, /which is read/);
  assert.match(foreign, /is no proposal of learn: it is not overwritten/);
  assert.match(none, /name the files or folders/);
  assert.equal(readFileSync(join(folder, 'egress.yaml'), 'utf8'), '# mine\n');
  assert.equal(existsSync(mesh), false);
});

test('run --learn: what a command calls', { skip }, async (t) => {
  const web = await startServer(t);
  const folder = temporary(t);
  const file = join(folder, 'learned.yaml');
  const ports = ['--capture-port', '0', '--dns-address', '0', '--admin-address', '0', '--status-address', '0'];
  const command = ['curl', '-s', '--noproxy', '', `http://127.0.0.1:${web.port}/build`];
  const program = new Program(['run', '--learn', file, '--proxy-address', String(await freePort()), ...ports, '--', ...command]);
  assert.equal(await program.exit, 0, program.errors);
  assert.equal(program.output, 'GET /build');
  assert.match(program.errors, /1 recorded call made again: it does not break/);
  assert.match(readFileSync(file, 'utf8'), new RegExp(`# 127\\.0\\.0\\.1:${web.port} HTTP: 1 call,`));
  // The next step holds as it is printed.
  const step = /^ {2}sallyport (verify .*)$/m.exec(program.errors)?.[1]?.split(' ') ?? [];
  const verify = new Program(step);
  assert.equal(await verify.exit, 0, verify.output + verify.errors);
  assert.match(verify.output, /^PROVED \(captured/);
  assert.match(readFileSync(join(folder, 'learned.mesh-config.yaml'), 'utf8'), /outboundTrafficPolicy:\n {2}mode: REGISTRY_ONLY\n$/);
});
