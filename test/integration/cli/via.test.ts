/** `run --via`: a contained command whose only way out is the company's proxy, a real squid. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runSandboxed, sandboxNeeds } from '../../attacks/sandbox-support.ts';
import { certificates } from '../dataplane/support.ts';
import { startSquid } from '../squid.ts';
import { needs } from '../tools.ts';

const USER = process.getuid?.() === 0 ? 'root' : 'nobody';
const skip = sandboxNeeds(USER) || needs('curl', 'openssl', 'squid');

const NAME = 'www.inside.example';
/** Stands in no environment, argument, output or log but the file that is given. */
const PASSWORD = 'canary-7f3a:91c';

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-via-'));
  t.after(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  return folder;
}

interface World {
  readonly folder: string;
  readonly http: number;
  readonly https: number;
  readonly credentials: string;
}

async function world(t: TestContext): Promise<World> {
  const folder = folderOf(t);
  certificates(folder, { www: `DNS:${NAME}` });
  const pem = (name: string) => readFileSync(join(folder, name), 'utf8');
  const servers = [
    createServer((request, response) => response.end(`plain ${request.method} ${request.url}`)),
    createHttpsServer({ cert: pem('www.crt'), key: pem('www.key') }, (request, response) => response.end(`secure ${request.url}`)),
  ];
  const ports: number[] = [];
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    ports.push((server.address() as AddressInfo).port);
  }
  const credentials = join(folder, 'credentials');
  writeFileSync(credentials, `user:${PASSWORD}\n`);
  return { folder, http: ports[0]!, https: ports[1]!, credentials };
}

const allow = ({ http, https }: World) => ['--allow', `http://${NAME}:${http}`, '--allow', `tls://${NAME}:${https}`];

test('what is allowed leaves through the proxy, which looks the names up; nothing else leaves, and nobody sees the password', {
  skip,
}, async (t) => {
  const it = await world(t);
  const squid = await startSquid(t, [NAME], PASSWORD);
  const script = [
    `curl -sS http://${NAME}:${it.http}/one; echo`,
    `curl -sS --cacert ${it.folder}/ca.crt https://${NAME}:${it.https}/two; echo`,
    // As if it knew nothing of any proxy.
    `curl -sS --noproxy '*' http://${NAME}:${it.http}/three; echo`,
    'curl -sS http://other.example/ >/dev/null; echo',
    // The proxy itself, which would go anywhere.
    `curl -sS -m 5 -x http://127.0.0.1:${squid.port} -U user:guess http://${NAME}:${it.http}/four || echo none`,
    'env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr "\\0" "\\n"',
  ].join('\n');
  const options = ['--via', `http://127.0.0.1:${squid.port}`, '--via-credentials', it.credentials, ...allow(it)];
  const { stdout, stderr } = await runSandboxed(t, USER, ['sh', '-c', script], { options });
  assert.match(stdout, /^plain GET \/one\nsecure \/two\nplain GET \/three\n/, stderr);
  assert.match(stdout, /\nnone\n/);
  assert.match(stderr, /refused other\.example:80/);
  for (const secret of [PASSWORD, Buffer.from(`user:${PASSWORD}`).toString('base64')])
    assert.ok(!`${stdout}${stderr}`.includes(secret), 'the password is seen');
  const asked = await squid.stop();
  assert.deepEqual([...new Set(asked)].sort(), [`CONNECT ${NAME}:${it.http} 200 user`, `CONNECT ${NAME}:${it.https} 200 user`].sort());
});

test('a proxy that refuses, and one that is not there, close: 503 with the proxy’s name, and no other way is gone', { skip }, async (t) => {
  const it = await world(t);
  const squid = await startSquid(t, [NAME], PASSWORD);
  const wrong = join(it.folder, 'wrong');
  writeFileSync(wrong, 'user:wrong');
  const get = `curl -sS http://${NAME}:${it.http}/`;
  for (const [port, credentials, reason] of [
    [squid.port, wrong, /tunnel_response:40[37]/],
    [1, it.credentials, /through the proxy 127\.0\.0\.1:1: .*Connection refused/],
  ] as const) {
    const options = ['--via', `http://127.0.0.1:${port}`, '--via-credentials', credentials, ...allow(it)];
    const { stdout } = await runSandboxed(t, USER, ['sh', '-c', get], { options });
    assert.match(stdout, reason);
    assert.ok(!stdout.includes('plain GET'));
  }
});

test('of two proxies the one that is there carries the call', { skip }, async (t) => {
  const it = await world(t);
  const squid = await startSquid(t, [NAME]);
  const options = ['--via', 'http://127.0.0.1:1', '--via', `http://127.0.0.1:${squid.port}`, '--allow', `http://${NAME}:${it.http}`];
  const script = `for i in 1 2 3; do curl -sS http://${NAME}:${it.http}/$i; echo; done`;
  const { stdout, stderr } = await runSandboxed(t, USER, ['sh', '-c', script], { options });
  assert.equal(stdout, 'plain GET /1\nplain GET /2\nplain GET /3\n', stderr);
  for (const line of await squid.stop()) assert.equal(line, `CONNECT ${NAME}:${it.http} 200 -`);
});

test('the environment’s proxy is named, and followed where that is asked for', { skip }, async (t) => {
  const it = await world(t);
  const squid = await startSquid(t, [NAME], PASSWORD);
  const url = `http://user:${encodeURIComponent(PASSWORD)}@127.0.0.1:${squid.port}`;
  const environment = { HTTPS_PROXY: url, NO_PROXY: 'localhost,.internal' };
  const get = ['curl', '-sS', `http://${NAME}:${it.http}/`];
  const followed = await runSandboxed(t, USER, get, { environment, options: ['--via', 'env', ...allow(it)] });
  assert.equal(followed.stdout, 'plain GET /', followed.stderr);
  const left = await runSandboxed(t, USER, ['true'], { environment, options: allow(it) });
  assert.match(left.stderr, /HTTPS_PROXY names a proxy, which is not followed: --via env leaves through it/);
  assert.ok(!left.stderr.includes('canary'));
});

test('credentials go through the proxy in TLS that it cannot see into, and in plain never; variables that repeat the proxy’s password are the mesh’s alone', {
  skip,
}, async (t) => {
  const it = await world(t);
  const squid = await startSquid(t, [NAME], PASSWORD);
  const url = `http://user:${encodeURIComponent(PASSWORD)}@127.0.0.1:${squid.port}`;
  const policy = join(it.folder, 'policy.json');
  const credentials = [{ query: 'key', from: { environment: 'CANARY' } }];
  const allow = [
    { host: NAME, ports: [it.https], tls: { intercept: true, ca: join(it.folder, 'ca.crt') }, credentials },
    { host: NAME, ports: [it.http], protocol: 'HTTP', credentials },
  ];
  writeFileSync(policy, JSON.stringify({ allow }));
  const environment = { CANARY: 'secret-4Gt8', HTTPS_PROXY: url, FTP_PROXY: url, npm_config_proxy: url, SHELL: '/bin/sh' };
  const options = ['--via', 'env', '--policy', policy, '--allow', `${NAME}:1=127.0.0.0/8`];
  const script = `curl -sS https://${NAME}:${it.https}/one; echo; curl -sS http://${NAME}:${it.http}/two; echo; env; cat /proc/*/environ 2>/dev/null`;
  const { stdout, stderr } = await runSandboxed(t, USER, ['sh', '-c', script], { environment, options });
  assert.match(stdout, /^secure \/one\?key=secret-4Gt8\nsallyport: refused: a credential goes to .* by verified TLS alone/, stderr);
  assert.ok(!stdout.includes(encodeURIComponent(PASSWORD)), stdout);
});

test('what cannot be meant is refused before anything runs', { skip }, async (t) => {
  for (const [options, said] of [
    [['--via', 'proxy.example'], /write http:\/\/HOST:PORT or https:\/\/HOST:PORT/],
    [['--via', 'http://user:secret@proxy.example'], /--via http:\/\/…@proxy\.example: write/],
    [['--via', 'http://proxy.example:3128', '--allow', 'proxy.example:3128'], /the proxy of --via could be asked for any host/],
    [['--via', 'http://proxy.example:3128', '--allow', '*.example:3128'], /the proxy of --via could be asked for any host/],
    [['--via-except', '10.0.0.0/8'], /need --via/],
    [['--via', 'https://192.0.2.1:3128'], /verified by its name/],
    [['--via', 'http://user:a@secret@proxy.example'], /--via http:\/\/…@proxy\.example: write/],
    [['--via', 'http://user:a/secret@proxy.example:3128'], /--via http:\/\/…@proxy\.example:3128: write/],
    [['--via', 'user:secret@proxy.example:3128'], /--via …@proxy\.example:3128: write/],
    [['--via', 'http://user:secret%zz@proxy.example:3128'], /has a % that begins no escape/],
    [['--via', 'http://user:secret@one.example:3128', '--via', 'http://two.example:3128'], /have the same credentials/],
    [['--via', 'http://user:secret@proxy.example:3128'], /the command sees the list of processes: .* --via-credentials/],
    [['--via', 'http://127.0.0.1:3128', '--allow-local', '127.0.0.1:3128'], /the proxy of --via could be asked for any host/],
    [['--via', 'http://localhost:3128', '--allow-local', '127.0.0.1:3128'], /the proxy of --via could be asked for any host/],
  ] as const) {
    const { code, stderr } = await runSandboxed(t, USER, ['echo', 'ran'], { options });
    assert.equal(code, 2, stderr);
    assert.match(stderr, said);
    assert.ok(!stderr.includes('secret'));
  }
});

test('a token is asked for through the proxy, like everything else, by who verifies the endpoint', { skip }, async (t) => {
  const it = await world(t);
  const asked: string[] = [];
  const pem = (name: string) => readFileSync(join(it.folder, name), 'utf8');
  const server = createHttpsServer({ cert: pem('www.crt'), key: pem('www.key') }, ({ headers, url }, response) => {
    asked.push(`${url} ${headers.authorization}`);
    response.end(url === '/token' ? JSON.stringify({ access_token: 'canary-token', token_type: 'Bearer', expires_in: 3600 }) : 'there');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const squid = await startSquid(t, [NAME], PASSWORD);
  const ca = join(it.folder, 'ca.crt');
  const policy = join(it.folder, 'list.yaml');
  const write = (trusted: string | undefined) => {
    const oauth2 = {
      tokenEndpoint: `https://${NAME}:${port}/token`,
      clientId: 'me',
      clientSecret: { environment: 'CLIENT_SECRET' },
      ca: trusted,
    };
    const credentials = [{ bearer: true, from: { oauth2 } }];
    writeFileSync(policy, JSON.stringify({ allow: [{ host: NAME, ports: [port], tls: { intercept: true, ca }, credentials }] }));
  };
  const options = ['--via', `http://127.0.0.1:${squid.port}`, '--via-credentials', it.credentials, '--policy', policy];
  const run = () =>
    runSandboxed(t, USER, ['sh', '-c', `curl -sS https://${NAME}:${port}/one`], { options, environment: { CLIENT_SECRET: 's3cret' } });
  write(ca);
  const { stdout, stderr } = await run();
  assert.equal(stdout, 'there', stderr);
  assert.deepEqual(asked, [`/token Basic ${btoa('me:s3cret')}`, '/one Bearer canary-token']);
  write(undefined);
  const unverified = await run();
  assert.match(unverified.stderr, /the token endpoint https:.*: through the proxy 127\.0\.0\.1:\d+: /);
  assert.match(unverified.stdout, /cannot be had/);
  assert.equal(asked.length, 2, 'nothing is sent to whoever has not shown who it is');
  assert.deepEqual([...new Set(await squid.stop())], [`CONNECT ${NAME}:${port} 200 user`]);
});
