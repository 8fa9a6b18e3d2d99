import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readShown } from './read.ts';
import { startConsole } from './server.ts';
import { EVERYTHING } from './sight.ts';
import { type TestConsole, testConsole } from './testing.ts';
import { Visitors } from './visitors.ts';

const SECRET = `apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: "outboundTrafficPolicy: { mode: REGISTRY_ONLY }" }
---
apiVersion: v1
kind: Secret
metadata: { name: keys, namespace: default }
stringData:
  password: swordfish
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: www, namespace: default }
spec: { hosts: [www.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS }
`;

async function opened(t: TestContext, text = SECRET): Promise<{ readonly console: TestConsole; readonly file: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-console-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'mesh.yaml');
  writeFileSync(file, text);
  const shown = await readShown([folder], {}, async () => undefined);
  return { console: await testConsole(t, shown), file };
}

test('nothing is shown to whoever has no token, neither pages nor answers', async (t) => {
  const { console } = await opened(t);
  for (const path of ['/', '/main.css', '/api/v1/state', '/api/v1/openapi.json', '/api/v1/nothing', '/nothing']) {
    const { status, text } = await console.ask(path);
    assert.equal(status, 401, path);
    assert.match(text, /no-session/);
  }
  const cookie = `sallyport_console_${console.port}=${'A'.repeat(43)}`;
  assert.equal((await console.ask('/api/v1/state', { headers: { cookie } })).status, 401);
  assert.equal((await console.ask('/?token=wrong')).status, 401);
});

test('a token lets one browser in, as a cookie that no script and no other site has; then there is another', async (t) => {
  const { console } = await opened(t);
  const { token } = console;
  const { status, headers } = await console.ask(`/?token=${token}`);
  assert.equal(status, 303);
  assert.equal(headers.location, '/');
  assert.match(headers['set-cookie']![0]!, /^sallyport_console_\d+=[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/$/);
  assert.equal((await console.ask(`/?token=${token}`)).status, 401, 'it was used');
  assert.equal(console.addresses.length, 2);
  assert.notEqual(console.token, token);
  await console.enter();
  assert.equal((await console.ask('/api/v1/state')).status, 200);
});

test('requests of other sites, and by names that may lead anywhere, are not answered', async (t) => {
  const { console } = await opened(t);
  await console.enter();
  const refused: Readonly<Record<string, string>>[] = [
    { host: 'console.attacker.example' },
    { host: `rebound.example:${console.port}` },
    { origin: 'http://attacker.example' },
    { origin: `http://127.0.0.1:${console.port + 1}` },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ];
  for (const headers of refused) {
    for (const path of ['/', '/api/v1/state', '/api/v1/events', `/?token=${console.token}`])
      assert.equal((await console.ask(path, { headers })).status, 403, JSON.stringify(headers));
    const posted = { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: '{"before":{},"after":{}}' };
    assert.equal((await console.ask('/api/v1/diff', posted)).status, 403);
  }
  assert.equal(console.addresses.length, 2, 'no token was used');
  const form = { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{"before":{},"after":{}}' };
  assert.equal((await console.ask('/api/v1/diff', form)).status, 400, 'what a form can send');
});

test('every answer forbids inline scripts, frames and anything from elsewhere', async (t) => {
  const { console } = await opened(t);
  const before = [await console.ask('/'), await console.ask('/?token=wrong'), await console.ask(`/?token=${console.token}`)];
  await console.enter();
  const after = ['/', '/main.css', '/nothing', '/api/v1/state', '/api/v1/nothing', '/api/v1/verify'].map((path) => console.ask(path));
  for (const { headers } of [...before, ...(await Promise.all(after))]) {
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; /);
    assert.doesNotMatch(policy, /unsafe|http:|https:|\*/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['access-control-allow-origin'], undefined);
  }
});

test('no path leads out of the pages, of the files that are shown, or to another side', async (t) => {
  const { console, file } = await opened(t);
  await console.enter();
  for (const path of [
    '/../package.json',
    '/%2e%2e/package.json',
    '/..%2fpackage.json',
    '/./../ui/tsconfig.json',
    '/lib/api.ts',
    '/tsconfig.json',
    '//etc/passwd',
    '/main.css/',
  ])
    assert.equal((await console.ask(path)).status, 404, path);
  for (const wanted of ['/etc/passwd', `${file}/../mesh.yaml`, '../package.json', 'mesh.yaml', '']) {
    const { status } = await console.ask(`/api/v1/source?file=${encodeURIComponent(wanted)}`);
    assert.ok(status === 404 || status === 400, `${wanted}: ${status}`);
  }
  for (const spec of ['/etc', '..', '/', `${file}/..`]) {
    const asking = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ before: {}, after: { spec } }),
    };
    const { text } = await console.ask('/api/v1/diff', asking);
    assert.match(text, /a side is one of the paths that are shown/, spec);
  }
});

test('the text of a file is shown with its lines, and Secrets in it are not', async (t) => {
  const { console, file } = await opened(t);
  await console.enter();
  const { text } = (await console.json(`/api/v1/source?file=${encodeURIComponent(file)}`)) as { text: string };
  assert.doesNotMatch(text, /swordfish|keys/);
  assert.match(text, /a Secret, which is not shown/);
  assert.deepEqual(
    text.split('\n').flatMap((line, i) => (/^kind/.test(line) ? [i + 1] : [])),
    SECRET.split('\n').flatMap((line, i) => (/^kind/.test(line) && !line.includes('Secret') ? [i + 1] : [])),
  );
  const alone = await opened(t, SECRET.split('---\n')[1]!);
  await alone.console.enter();
  const { text: hidden } = (await alone.console.json(`/api/v1/source?file=${encodeURIComponent(alone.file)}`)) as { text: string };
  assert.doesNotMatch(hidden, /swordfish/);
});

test('a target that is no path is refused, and the next request is answered', async (t) => {
  const { console } = await opened(t);
  for (const path of ['//', '///', '//[', '//a:b', 'http://[/']) assert.equal((await console.ask(path)).status, 400, path);
  await console.enter();
  for (const path of ['//', '//[']) assert.equal((await console.ask(path)).status, 400, path);
  assert.equal((await console.ask('/api/v1/state')).status, 200);
});

test('nothing can be changed, and what is too long is not read', async (t) => {
  const { console } = await opened(t);
  await console.enter();
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
    assert.equal((await console.ask('/', { method })).status, 405);
    assert.equal((await console.ask('/api/v1/state', { method })).status, 405);
  }
  const body = `{"before":{},"after":{"file":"a","text":"${'x'.repeat(2 * 1024 * 1024)}"}}`;
  const answer = console.ask('/api/v1/diff', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  await answer
    .then(({ status }) => assert.equal(status, 413))
    .catch((error: unknown) => assert.equal((error as { code: string }).code, 'EPIPE'));
});

test('pages that are gone are said, and nothing ends', async (t) => {
  const pages = mkdtempSync(join(tmpdir(), 'sallyport-pages-'));
  writeFileSync(join(pages, 'index.html'), '');
  const shown = await readShown([join(import.meta.dirname, '../../examples/egress-http')], {}, async () => undefined);
  const console = await testConsole(t, shown, pages);
  rmSync(pages, { recursive: true });
  await console.enter();
  assert.equal((await console.ask('/')).status, 500);
  assert.equal((await console.ask('/api/v1/state')).status, 200);
  const at = { address: '127.0.0.1', port: 0 };
  await assert.rejects(startConsole({ at, shown, enter: () => undefined, pages }), { code: 'console-not-built', message: /npm run build/ });
});

test('the console is for this machine alone', async () => {
  const shown = await readShown([join(import.meta.dirname, '../../examples/egress-http')], {}, async () => undefined);
  const enter = () => undefined;
  for (const address of ['0.0.0.0', '::', '10.0.0.1'])
    await assert.rejects(startConsole({ at: { address, port: 0 }, shown, enter }), { code: 'usage', message: /loopback/ });
});

test('one person does not keep the others from looking', async (t) => {
  const visitors = new Visitors({ know: async (token) => ({ name: token.revealText(), sight: EVERYTHING }) });
  const shown = await readShown([join(import.meta.dirname, '../../examples/egress-http')], {}, async () => undefined);
  const console = await testConsole(t, shown, undefined, visitors);
  const opened = async (token: string) => {
    const answer = await console.open('/api/v1/events', { headers: { authorization: `Bearer ${token}` } });
    t.after(() => answer.destroy());
    return answer.statusCode;
  };
  for (let i = 0; i < 16; i++) assert.equal(await opened('alice'), 200);
  assert.equal(await opened('alice'), 503);
  assert.equal(await opened('bob'), 200);
});
