/** `up --would-deny`: all calls pass, and what a policy would refuse is told. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hostHere, REGISTRY_ONLY } from '../../support/egress-text.ts';
import { freePort, get, start } from './program.ts';

const policy = (port: number) => `${REGISTRY_ONLY}${hostHere('www', 'www.example.com', port)}\n`;

/** In the folder of the test. */
const REPORT = 'report.json';

async function up(t: TestContext, ...options: string[]) {
  const server = createServer((_asked, answer) => answer.end('hello\n')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-would-deny-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'policy.yaml');
  writeFileSync(file, policy(port));
  const proxy = await freePort();
  const none = ['--capture-port', '0', '--dns-address', '0', '--status-address', '0', '--admin-address', '0', '--grace', '100ms'];
  const program = start(t, [
    'up',
    file,
    '--proxy-address',
    String(proxy),
    ...none,
    ...options.map((option) => (option === REPORT ? join(folder, REPORT) : option)),
  ]);
  await program.says(/ready: use the proxy/);
  return { program, proxy, port, folder };
}

test('what would be refused passes, is told, and makes the exit code', async (t) => {
  const { program, proxy, port } = await up(t, '--would-deny', '--fail-on', 'refused');
  assert.equal((await get(proxy, 'http://www.example.com/', 'www.example.com')).body, 'hello\n');
  assert.equal((await get(proxy, `http://127.0.0.1:${port}/`, `127.0.0.1:${port}`)).body, 'hello\n');
  // Who called is looked up while it is there, as far as a share of the time allows.
  const who = '(?: \\([^)]+, pid \\d+\\))?';
  await program.says(new RegExp(`would refuse 127\\.0\\.0\\.1:${port}${who}: not allowed; to allow: sallyport allow tcp://127`));
  assert.equal((await get(proxy, 'http://nobody-has-this.invalid/', 'nobody-has-this.invalid')).status, 502);
  await program.says(/would refuse nobody-has-this\.invalid:80.*: not allowed/);
  assert.equal(await program.end(), 1);
  assert.match(program.errors, /www\.example\.com:80 +allowed +1×/);
  assert.match(program.errors, /calls to .* and 1 more were refused, or would be: exit code 1 \(--fail-on refused\)/);
});

test('a tunnel that is still open at the end counts, and a report has it', async (t) => {
  const { program, proxy, port, folder } = await up(t, '--would-deny', '--fail-on', 'refused', '--report', REPORT);
  const socket = connect(proxy, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => undefined);
  socket.write(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nhost: x\r\n\r\n`);
  await once(socket, 'data');
  socket.write('GET / HTTP/1.1\r\nhost: inside\r\n\r\n');
  await once(socket, 'data');
  assert.equal(await program.end(), 1, program.errors);
  const { calls } = JSON.parse(readFileSync(join(folder, REPORT), 'utf8')) as { calls: { host: string; verdict: string }[] };
  assert.deepEqual(
    calls.map(({ verdict }) => verdict),
    ['undeclared'],
  );
});

test('enforced, a refusal is told of and makes the exit code; calls that are declared do not', async (t) => {
  const { program, proxy } = await up(t, '--fail-on', 'refused');
  assert.equal((await get(proxy, 'http://www.example.com/', 'www.example.com')).body, 'hello\n');
  assert.equal(await program.end(), 0, program.errors);
  const refusing = await up(t, '--fail-on', 'refused');
  assert.equal((await get(refusing.proxy, 'http://other.example/', 'other.example')).status, 502);
  await refusing.program.says(/refused other\.example:80/);
  assert.equal(await refusing.program.end(), 1, refusing.program.errors);
});
