/** Clients of services do their work inside of `run`, where exactly their servers are allowed. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { asUser } from '../../attacks/sandbox-support.ts';
import { findTool } from '../tools.ts';
import { Outside, UNPROXIED, workNeeds } from './outside.ts';

test('curl and wget: http and https, downloads, uploads and many connections', { skip: workNeeds('curl', 'wget') }, async (t) => {
  const outside = await Outside.start(t);
  let got = 0;
  const ca = await outside.https('web.example', (request, response) => {
    if (request.method !== 'PUT') {
      response.end('x'.repeat(3_000_000));
      return;
    }
    request.on('data', (piece: Buffer) => (got += piece.length));
    request.on('end', () => response.end('stored\n'));
  });
  await outside.http('web.example', (_, response) => response.end('plain\n'));
  for (const prefix of ['', UNPROXIED]) {
    got = 0;
    const script = `
      ${prefix} curl -sS --cacert ${ca} https://web.example/ | wc -c
      ${prefix} wget -q --ca-certificate=${ca} -O - https://web.example/ | wc -c
      head -c 2000000 /dev/zero | ${prefix} curl -sS --cacert ${ca} -T - https://web.example/put
      ${prefix} wget -q -O - http://web.example/
      seq 20 | ${prefix} xargs -P 10 -I % curl -sS --cacert ${ca} -o /dev/null https://web.example/% && echo all
      ${prefix} wget -q -t 1 -O - http://other.example/ || echo refused`;
    const { code, stdout, stderr, calls } = await outside.run(script, ['web.example']);
    assert.equal(code, 0, stderr + stdout);
    assert.equal(stdout, '3000000\n3000000\nstored\nplain\nall\nrefused\n', stderr);
    assert.equal(got, 2_000_000);
    const refused = prefix === '' ? 'other.example:80 refused' : 'other.example:0 unresolved';
    assert.deepEqual(calls, [refused, 'web.example:443 allowed', 'web.example:80 allowed'], stderr);
  }
});

/** Runs until the test ends; resolves once it has said so. */
async function server(t: TestContext, words: readonly string[], ready: RegExp, output: 'stdout' | 'stderr'): Promise<void> {
  const child = spawn(words[0]!, words.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(async () => {
    child.kill('SIGINT');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  child[output === 'stdout' ? 'stderr' : 'stdout'].resume();
  let said = '';
  for await (const text of child[output].setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    said += text;
    if (ready.test(said)) break;
  }
  child[output].resume();
  assert.match(said, ready);
}

/** A folder that the servers of nobody own; they end before it goes, as what is set up later is torn down first. */
function folderOfNobody(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-server-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  chownSync(folder, 65534, 65534);
  return folder;
}

test('redis-cli', { skip: workNeeds('redis-cli', 'redis-server') }, async (t) => {
  const outside = await Outside.start(t);
  const place = ['--bind', outside.address('redis.example'), '--port', '6379', '--dir', folderOfNobody(t)];
  await server(t, [findTool('redis-server')!, ...place, '--save', ''], /Ready to accept connections/, 'stdout');
  const cli = 'redis-cli -h redis.example';
  const script = `
    ${cli} set greeting hello; ${cli} get greeting
    seq 1000 | sed 's/.*/set key& &/' | ${cli} --pipe | tail -1
    redis-cli -h other.example get greeting 2>&1 || true`;
  const { code, stdout, stderr, calls } = await outside.run(script, ['tcp://redis.example:6379']);
  assert.equal(code, 0, stderr + stdout);
  assert.match(stdout, /^OK\nhello\nerrors: 0, replies: 1000\nCould not connect to Redis at other\.example:6379/, stderr);
  assert.deepEqual(calls, ['other.example:0 unresolved', 'redis.example:6379 allowed']);
});

/** The server's programs. */
const POSTGRES = ['initdb', 'postgres'];

test('psql', { skip: workNeeds('psql', ...POSTGRES) }, async (t) => {
  const outside = await Outside.start(t);
  const folder = folderOfNobody(t);
  const data = join(folder, 'data');
  const nobody = asUser('nobody');
  const [initdb, postgres] = POSTGRES.map((tool) => findTool(tool)!);
  const words = [...nobody, initdb!, '-D', data, '-U', 'postgres', '-A', 'trust', '-N'];
  execFileSync(words[0]!, words.slice(1), { stdio: 'pipe', cwd: folder });
  const settings = [`listen_addresses=${outside.address('db.example')}`, `unix_socket_directories=${folder}`, 'fsync=off'];
  const start = [...nobody, postgres!, '-D', data, ...settings.flatMap((one) => ['-c', one])];
  await server(t, start, /database system is ready to accept connections/, 'stderr');
  const sql = 'psql -X -A -t -U postgres -h db.example';
  const script = `
    ${sql} -c 'create table t as select generate_series(1, 100000) as n' -c 'select sum(n) from t'
    ${sql} -c 'copy t to stdout' | wc -l
    psql -X -U postgres -h other.example -c 'select 1' 2>&1 || true
    PGCONNECT_TIMEOUT=30 psql -X -U postgres -h db.example -p 5433 -c 'select 1' 2>/dev/null || echo refused`;
  const { code, stdout, stderr, calls } = await outside.run(script, ['tcp://db.example:5432']);
  assert.equal(code, 0, stderr + stdout);
  assert.match(stdout, /^SELECT 100000\n5000050000\n100000\npsql: .*other\.example.*\nrefused\n$/s, stderr);
  assert.deepEqual(calls, ['db.example:5432 allowed', 'db.example:5433 refused', 'other.example:0 unresolved']);
});

test('gRPC', { skip: workNeeds() }, async (t) => {
  const outside = await Outside.start(t);
  const same = (bytes: Buffer) => bytes;
  const grpc = new Server();
  const method = { path: '/test.Service/Echo', requestStream: false, responseStream: false };
  const codec = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };
  grpc.addService(
    { Echo: { ...method, ...codec } },
    {
      Echo: (call: { request: Buffer }, answer: (error: null, bytes: Buffer) => void) => answer(null, call.request),
    },
  );
  const address = `${outside.address('grpc.example')}:50051`;
  await new Promise<void>((resolve, reject) =>
    grpc.bindAsync(address, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve())),
  );
  t.after(() => grpc.forceShutdown());
  const client = `node ${join(import.meta.dirname, 'grpc-client.mjs')} grpc.example:50051 other.example:50051`;
  // As the line for what was refused says it; http:// would speak HTTP/1.1 to the server, as Istio does where a port says HTTP.
  for (const prefix of ['', UNPROXIED]) {
    const { code, stdout, stderr, calls } = await outside.run(`${prefix} ${client}`, ['tcp://grpc.example:50051']);
    assert.equal(code, 0, stderr + stdout);
    assert.equal(stdout, 'gRPC works\nUNAVAILABLE\n', stderr);
    const refused = prefix === '' ? 'other.example:50051 refused' : 'other.example:0 unresolved';
    assert.deepEqual(calls, ['grpc.example:50051 allowed', refused], stderr);
  }
});

test('a browser, by Playwright', { skip: workNeeds('chromium') }, async (t) => {
  const outside = await Outside.start(t);
  const page = `<p id=a></p><script>
    const show = (text) => (document.querySelector('#a').textContent += text + ' ');
    fetch('/data').then((r) => r.text()).then(show)
      .then(() => fetch('https://tracker.example/pixel').then(() => show('tracked'), () => show('refused')))
      .then(() => document.body.insertAdjacentHTML('beforeend', '<p id=done>over</p>'));
  </script>`;
  await outside.https('page.example', (request, response) => {
    if (request.url === '/') response.setHeader('content-type', 'text/html').end(page);
    else response.end(request.url === '/data' ? 'fetched' : '');
  });
  const browse = `node ${join(import.meta.dirname, 'browse.mjs')} ${findTool('chromium')} https://page.example/`;
  for (const [prefix, option] of [
    ['', ''],
    [UNPROXIED, '--no-proxy-server'],
  ]) {
    const { code, stdout, stderr, calls } = await outside.run(`${prefix} ${browse} ${option}`, ['https://page.example']);
    assert.equal(code, 0, stderr + stdout);
    assert.match(stdout, /fetched refused/, stderr);
    assert.deepEqual(
      calls.filter((call) => /allowed$/.test(call)),
      ['page.example:443 allowed'],
      stderr,
    );
    assert.ok(
      calls.some((call) => /^tracker\.example:\d+ (?:refused|unresolved)$/.test(call)),
      stderr,
    );
  }
  assert.ok(!outside.asked.has('tracker.example'));
});
