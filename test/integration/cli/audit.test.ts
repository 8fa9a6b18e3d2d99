/** Audits by the whole program: what is in them, and what becomes of them when the process is killed or the disk is full. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, createServer, get as httpGet } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { z } from 'zod';
import { readLine } from '../../../src/audit/chain/line.ts';
import { segmentsIn } from '../../../src/audit/chain-files.ts';
import { auditLineSchema } from '../../../src/audit/schema.ts';
import { keyIn, tempFolder } from '../../../src/audit/testing.ts';
import { sandboxNeeds } from '../../attacks/sandbox-support.ts';
import { hostHere, REGISTRY_ONLY } from '../../support/egress-text.ts';
import { needs } from '../tools.ts';
import { freePort, get, Program, start } from './program.ts';

const HOST = 'www.example.com';
const TCP_HOST = 'tcp.example.com';

const tcpHere = (port: number) => `
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: tcp, namespace: default }
spec:
  hosts: [${TCP_HOST}]
  resolution: STATIC
  location: MESH_EXTERNAL
  ports: [{ number: 9000, name: tcp, protocol: TCP }]
  endpoints: [{ address: 127.0.0.1, ports: { tcp: ${port} } }]`;

interface Entry {
  readonly kind: string;
  readonly [name: string]: unknown;
}

interface Place {
  readonly base: string;
  /** Where the audit is. */
  readonly folder: string;
  readonly key: string;
  readonly publicKey: string;
  readonly policy: string;
  readonly port: number;
}

async function place(t: TestContext): Promise<Place> {
  const server = createServer((_asked, answer) => answer.end('hello\n')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const base = tempFolder(t);
  mkdirSync(join(base, 'keys'));
  const key = keyIn(join(base, 'keys'));
  const policy = join(base, 'policy.yaml');
  writeFileSync(policy, `${REGISTRY_ONLY}${hostHere('www', HOST, port)}${tcpHere(port)}\n`);
  return { base, folder: join(base, 'audit'), key: key.file, publicKey: key.publicFile, policy, port };
}

async function up(t: TestContext, { folder, key, policy }: Place, ...more: string[]) {
  const [proxy, status] = [await freePort(), await freePort()];
  const program = start(t, [
    ...['up', policy, '--audit', folder, '--proxy-address', String(proxy), '--status-address', String(status)],
    ...['--capture-port', '0', '--dns-address', '0', '--admin-address', '0', '--grace', '100ms'],
    ...(more.includes('--audit-sign-command') ? [] : ['--audit-key', key]),
    ...more,
  ]);
  await program.says(/ready: use the proxy/);
  const call = (path = '/', host = HOST) => get(proxy, `http://${host}${path}`, host);
  const statusOf = async (path: string) => (await get(status, path, 'localhost')).body;
  return { program, proxy, call, statusOf };
}

async function verified(place: Place, ...more: string[]): Promise<{ readonly code: number | null; readonly output: string }> {
  const program = new Program(['audit', 'verify', place.folder, '--key', place.publicKey, ...more]);
  const code = await program.exit;
  return { code, output: program.output + program.errors };
}

function textIn(folder: string): string {
  return segmentsIn(folder)
    .map(({ path }) => readFileSync(path, 'utf8'))
    .join('');
}

function checkSchema(folder: string): void {
  const schema = z.fromJSONSchema(auditLineSchema() as Parameters<typeof z.fromJSONSchema>[0]);
  for (const line of textIn(folder).trimEnd().split('\n')) schema.parse(JSON.parse(line));
}

function entriesIn(folder: string, kind: string): readonly Entry[] {
  return textIn(folder)
    .split('\n')
    .flatMap((line) => readLine(line)?.entry ?? [])
    .filter((entry) => entry.kind === kind);
}

test('calls that are allowed and refused, and changes, are lines of a chain that verifies; secrets are in none', async (t) => {
  const here = await place(t);
  const { program, call, statusOf } = await up(t, here);
  assert.equal((await call('/in-a-path?token=in-a-query')).status, 200);
  assert.equal((await call('/', 'other.example')).status, 502);
  const before = readFileSync(here.policy, 'utf8');
  writeFileSync(here.policy, before.replaceAll(HOST, 'else.example.com'));
  await program.says(/in force/);
  assert.equal((await call()).status, 502);
  const { audit } = JSON.parse(await statusOf('/status')) as { audit: { onFailure: string; failing: unknown } };
  assert.deepEqual([audit.onFailure, audit.failing], ['refuse', null]);
  assert.match(await statusOf('/metrics'), /^sallyport_audit_failing 0$/m);
  assert.equal(await program.end(), 0, program.errors);

  assert.deepEqual(await verified(here).then(({ code, output }) => [code, output.split('\n').at(-2)]), [0, 'whole']);
  const calls = entriesIn(here.folder, 'call');
  assert.deepEqual(
    calls.map(({ host, verdict }) => `${String(host)} ${String(verdict)}`),
    [`${HOST} allowed`, 'other.example refused', `${HOST} refused`],
  );
  const configs = entriesIn(here.folder, 'config');
  assert.equal(configs.length, 2);
  assert.equal(configs[1]!.before, configs[0]!.config);
  assert.deepEqual(
    calls.map(({ config }) => config),
    [configs[0]!.config, configs[0]!.config, configs[1]!.config],
  );
  assert.doesNotMatch(textIn(here.folder), /in-a-path|in-a-query/);
  checkSchema(here.folder);
});

test('a chain that is changed afterwards does not verify, and one without an orderly end only with --open', async (t) => {
  const here = await place(t);
  const { program, call } = await up(t, here);
  await call();
  program.child.kill('SIGKILL');
  await program.exit;
  const open = await verified(here);
  assert.equal(open.code, 1);
  assert.match(open.output, /the end is open/);
  assert.equal((await verified(here, '--open')).code, 0);
  const [{ path } = { path: '' }] = segmentsIn(here.folder);
  writeFileSync(path, readFileSync(path, 'utf8').replace('"after":"start"', '"after":"other"'));
  const changed = await verified(here, '--open');
  assert.equal(changed.code, 1);
  assert.match(changed.output, /wrong: segment 1, its line 2: line 1, before it, is not the one that it follows/);
});

/** Calls one after the other over eight kept-alive connections, until one fails. */
async function load(proxy: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  let answered = 0;
  const once = () =>
    new Promise<void>((resolve, reject) => {
      httpGet({ host: '127.0.0.1', port: proxy, path: `http://${HOST}/`, headers: { host: HOST }, agent }, (answer) => {
        answer.resume().on('end', resolve).on('error', reject);
      }).on('error', reject);
    });
  const loop = async () => {
    for (;;) {
      await once();
      answered++;
    }
  };
  await Promise.allSettled(Array.from({ length: 8 }, loop));
  agent.destroy();
  return answered;
}

test('kill -9 under load loses no acknowledged line, and the next start goes on after it', async (t) => {
  const here = await place(t);
  for (let round = 0; round < 3; round++) {
    const { program, proxy, statusOf } = await up(t, here, '--concurrency', '2', '--audit-sign-every', '100ms');
    const loading = load(proxy);
    let head = { seq: 0, hash: '' };
    const first = (JSON.parse(await statusOf('/status')) as { audit: { acknowledged: typeof head } }).audit.acknowledged.seq;
    while (head.seq < first + 500)
      ({ acknowledged: head } = (JSON.parse(await statusOf('/status')) as { audit: { acknowledged: typeof head } }).audit);
    program.child.kill('SIGKILL');
    await program.exit;
    assert.ok((await loading) > 0);
    const { code, output } = await verified(here, '--open', '--expect', `${head.seq}:${head.hash}`);
    assert.equal(code, 0, output);
  }
  const { program } = await up(t, here);
  await program.end();
  const { code, output } = await verified(here);
  assert.equal(code, 0, output);
  assert.match(output, /segment 4 was begun after a process that did not end the chain/);
});

test('several threads write one chain, with a line for each call', async (t) => {
  const here = await place(t);
  const { program, call } = await up(t, here, '--concurrency', '3', '--audit-rotate-size', '100KiB');
  const calls = 600;
  // A connection each, so that all threads have some.
  for (let i = 0; i < calls; i += 20) await Promise.all(Array.from({ length: 20 }, () => call()));
  assert.equal(await program.end(), 0, program.errors);
  const { code, output } = await verified(here);
  assert.equal(code, 0, output);
  assert.equal(entriesIn(here.folder, 'call').length, calls);
  assert.ok(segmentsIn(here.folder).length > 2);
});

/** What is answered within a tunnel to a host of TCP. */
async function throughTunnel(proxy: number): Promise<string> {
  const socket = connect(proxy, '127.0.0.1').setEncoding('utf8');
  socket.on('error', () => undefined).write(`CONNECT ${TCP_HOST}:9000 HTTP/1.1\r\nhost: x\r\n\r\n`);
  let answered = '';
  socket.once('data', () => {
    socket.on('data', (piece: string) => (answered += piece));
    socket.write('GET / HTTP/1.1\r\nhost: inside\r\nconnection: close\r\n\r\n');
  });
  await new Promise((resolve) => socket.on('close', resolve));
  return answered;
}

/** The process may write files up to so many bytes; `unlimited` ends that. */
function limit(program: Program, bytes: string): void {
  execFileSync('prlimit', ['--pid', String(program.child.pid), `--fsize=${bytes}:unlimited`]);
}

test('while the audit cannot be written calls are refused, also those of TCP, and it goes on when it can', {
  skip: needs('prlimit'),
}, async (t) => {
  const here = await place(t);
  const { program, proxy, call, statusOf } = await up(t, here);
  assert.equal((await call()).status, 200);
  assert.match(await throughTunnel(proxy), /hello/);
  limit(program, '1');
  // The call whose line cannot be written was made; the next ones are not.
  assert.equal((await call()).status, 200);
  await program.says(/audit: .* cannot be written, so calls are refused until it can: EFBIG/);
  const refused = await call();
  assert.equal(refused.status, 503);
  assert.match(refused.body, /the audit cannot be written/);
  assert.equal(await throughTunnel(proxy), '');
  const { audit } = JSON.parse(await statusOf('/status')) as { audit: { failing: string } };
  assert.match(audit.failing, /EFBIG/);
  assert.match(await statusOf('/metrics'), /^sallyport_audit_failing 1$/m);
  limit(program, 'unlimited');
  await program.says(/is written again; 0 lines were lost/);
  assert.equal((await call()).status, 200);
  await program.end();
  const { code, output } = await verified(here);
  assert.equal(code, 0, output);
  checkSchema(here.folder);
  assert.match(output, /no audit from .* \(EFBIG.*\), 0 lines lost/);
  assert.deepEqual(
    entriesIn(here.folder, 'call').map(({ verdict, reason }) => (reason === undefined ? verdict : `${String(verdict)} ${String(reason)}`)),
    ['allowed', 'allowed', 'allowed', 'refused audit_unavailable', 'refused audit_unavailable', 'allowed'],
  );
});

test('by choice calls go on without it', { skip: needs('prlimit') }, async (t) => {
  const here = await place(t);
  const { program, call } = await up(t, here, '--audit-on-failure', 'go-on');
  limit(program, '1');
  assert.equal((await call()).status, 200);
  await program.says(/cannot be written, so calls go on without/);
  assert.equal((await call()).status, 200);
  await program.end();
  await program.says(/what was last is not written: EFBIG/);
});

test('a folder that cannot be written, is in use, or has no key keeps it from starting', async (t) => {
  const here = await place(t);
  writeFileSync(join(here.base, 'file'), '');
  const { program } = await up(t, here);
  const fails = async (...args: string[]) => {
    const other = new Program(['up', here.policy, '--proxy-address', '0', '--status-address', '0', ...args]);
    assert.notEqual(await other.exit, 0);
    return other.errors;
  };
  assert.match(await fails('--audit', here.folder, '--audit-key', here.key), /another process writes the audit/);
  assert.match(await fails('--audit', join(here.base, 'file'), '--audit-key', here.key), /EEXIST|ENOTDIR/);
  assert.match(await fails('--audit', join(here.base, 'new')), /--audit-key FILE/);
  assert.match(await fails('--audit', join(here.base, 'new'), '--audit-key', here.policy), /Ed25519/);
  const wrong = ['--audit-sign-command', 'echo AAAA', '--audit-public-key', here.publicKey];
  assert.match(await fails('--audit', join(here.base, 'unsigned'), ...wrong), /does not fit the public key/);
  await program.end();
});

test('a command signs in place of a key, as one that asks a KMS would', { skip: needs('openssl') }, async (t) => {
  const here = await place(t);
  const script = `f=$(mktemp) && cat >"$f" && openssl pkeyutl -sign -inkey ${here.key} -rawin -in "$f" | base64 -w0; rm "$f"`;
  const { program, call } = await up(t, here, '--audit-sign-command', script, '--audit-public-key', here.publicKey);
  await call();
  assert.equal(await program.end(), 0, program.errors);
  const { code, output } = await verified(here);
  assert.equal(code, 0, output);
  assert.match(output, /signed up to line 5/);
});

const user = process.getuid?.() === 0 ? 'root' : 'nobody';

test('a contained command is audited, and sees neither the audit nor the key', { skip: sandboxNeeds(user) || needs('curl') }, async (t) => {
  const here = await place(t);
  const args = ['run', '--audit', here.folder, '--audit-key', here.key, '--allow-local', String(here.port)];
  const script = `ls -A ${here.folder} ${join(here.base, 'keys')}; curl -s http://127.0.0.1:${here.port}/; curl -s http://not.example/; true`;
  const program = start(t, [...args, '--', 'sh', '-c', script]);
  assert.equal(await program.exit, 0, program.errors);
  assert.doesNotMatch(program.output, /jsonl|pem/);
  assert.match(program.output, /hello/);
  const { code, output } = await verified(here);
  assert.equal(code, 0, output);
  assert.deepEqual(
    entriesIn(here.folder, 'call')
      .map(({ host, protocol, verdict }) => [host, protocol, verdict].join(' '))
      .sort(),
    ['127.0.0.1 tcp allowed', 'not.example http refused'],
  );
});
