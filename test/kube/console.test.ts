/** The console of a controller: who of a real cluster's people gets in, and what they see. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { chromium, type Page } from 'playwright-core';
import type { Explained, FindingView, Outwards, ResourceView, State } from '../../src/console/model.ts';
import { freshPages, skip as skipPages } from '../console/world.ts';
import { freePort } from '../integration/cli/program.ts';
import { findTool } from '../integration/tools.ts';
import { needsApiServer } from './api-server.ts';
import { ConsoleCluster, opening, startController } from './console-cluster.ts';

const skip = needsApiServer();

let cluster: ConsoleCluster;
before(
  async () => {
    if (skip) return;
    if (!skipPages) await freshPages();
    cluster = await ConsoleCluster.start();
  },
  { timeout: 240_000 },
);
after(() => cluster?.end());

const as = async (name: string) => cluster.cookieOf(await cluster.token(name));
const spacesOf = (resources: readonly ResourceView[]) => [...new Set(resources.map(({ namespace }) => namespace))].sort();

test('nobody gets in without a token of the cluster, and nothing but the form is shown before', { skip, timeout: 60_000 }, async () => {
  for (const path of ['/main.js', '/api/v1/state', '/api/v1/events', '/api/v1/openapi.json'])
    assert.equal((await cluster.ask(path)).status, 401, path);
  const { status, text, headers } = await cluster.ask('/');
  assert.equal(status, 401);
  assert.match(text, /<form method="post" action="\/enter"/);
  assert.doesNotMatch(text, /<script|role="alert"/);
  assert.match(String(headers['content-security-policy']), /form-action 'self'.*frame-ancestors 'none'/);
  const good = await cluster.token('alice');
  for (const token of ['', 'nonsense', `${good}x`, await cluster.shortToken('alice', -60), 'x'.repeat(9000)]) {
    const { status: refused, text: page, headers: head } = await cluster.enter(token);
    assert.ok(refused === 401 || refused === 400, `${token.slice(0, 20)}: ${refused}`);
    assert.match(page, /role="alert"/);
    assert.equal(head['set-cookie'], undefined);
  }
  assert.equal(
    (await cluster.ask('/api/v1/state', { headers: { cookie: `sallyport_console_${cluster.port}=${'A'.repeat(43)}` } })).status,
    401,
  );
});

test('whoever may see no namespace is told so, and does not get in; half of the rights is none', { skip, timeout: 60_000 }, async () => {
  for (const name of ['nobody', 'half']) {
    const { status, text, headers } = await cluster.enter(await cluster.token(name));
    assert.equal(status, 403);
    assert.match(text, /system:serviceaccount:people:\w+ may see no namespace here/);
    assert.equal(headers['set-cookie'], undefined);
  }
});

test('the cookie holds no token, and is for the console alone', { skip, timeout: 60_000 }, async () => {
  const token = await cluster.token('alice');
  const { headers } = await cluster.enter(token);
  assert.match(headers['set-cookie']![0]!, /^sallyport_console_\d+=[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/$/);
  assert.equal(headers.location, '/');
  assert.ok(!cluster.controller.errors.includes(token.slice(0, 40)), 'nothing of it is said');
});

test('each sees their own namespaces, and who may see all everything but Secrets', { skip, timeout: 120_000 }, async () => {
  for (const [name, spaces] of [
    ['alice', ['shop']],
    ['bob', ['payments']],
    ['carol', ['payments', 'shop']],
  ] as const) {
    const head = await as(name);
    const state = (await cluster.json('/state', head)) as State;
    assert.deepEqual([state.kind, state.person, state.namespaces], ['cluster', `system:serviceaccount:people:${name}`, spaces]);
    const resources = (await cluster.json('/resources', head)) as ResourceView[];
    assert.deepEqual(spacesOf(resources), spaces);
    assert.equal(state.resources, resources.length);
    const findings = (await cluster.json('/findings', head)) as FindingView[];
    assert.deepEqual([...new Set(findings.map(({ origin }) => origin.split(/[ /]/)[1]))].sort(), spaces);
    assert.ok(findings.some(({ code }) => code === 'IST0101'));
    assert.deepEqual(
      ((await cluster.json('/workloads', head)) as string[]).sort(),
      spaces.map((space) => (space === 'shop' ? 'shop/cart' : 'payments/ledger')),
    );
  }
  const admin = await cluster.cookieOf(cluster.server.token('admin'));
  const state = (await cluster.json('/state', admin)) as State;
  assert.deepEqual([state.person, state.namespaces], ['admin', undefined]);
  const all = (await cluster.json('/resources', admin)) as ResourceView[];
  assert.ok(['', 'istio-system', 'payments', 'shop'].every((space) => spacesOf(all).includes(space)));
  assert.ok(all.every(({ kind }) => kind !== 'Secret'));
});

test('a way is told as far as it is seen', { skip, timeout: 120_000 }, async () => {
  const head = await as('alice');
  const call = '/explain?url=http://www.example.com/&from=shop/cart';
  const cut = (await cluster.json(call, head)) as Explained;
  assert.deepEqual(
    [cut.outcome, cut.isCut, cut.hops.map(({ proxy }) => proxy)],
    ['upstream', true, ['shop/cart', 'a proxy of another namespace']],
  );
  assert.deepEqual(cut.hops[1]!.steps, []);
  const whole = (await cluster.json(call, await cluster.cookieOf(cluster.server.token('admin')))) as Explained;
  assert.deepEqual(
    [whole.outcome, whole.isCut, whole.hops.map(({ proxy }) => proxy)],
    ['upstream', undefined, ['shop/cart', 'istio-system/istio-egressgateway']],
  );
  const own = (await cluster.json('/explain?url=tls://api.partner.example:443&from=shop/cart', head)) as Explained;
  assert.deepEqual([own.outcome, own.hops[0]!.steps.some(({ origins }) => origins.some(({ name }) => name === 'own'))], ['upstream', true]);
  for (const from of ['payments/ledger', 'payments/nothing', 'istio-system/istio-egressgateway', 'nothing']) {
    const { status, text } = await cluster.ask(`/api/v1/explain?url=http://www.example.com/&from=${from}`, { headers: head });
    assert.deepEqual([status, JSON.parse(text).code], [403, 'not-seen'], from);
  }
  const outwards = (await cluster.json('/outwards', head)) as Outwards;
  assert.deepEqual(
    // In the order in which the objects were made, which is the same second's.
    outwards.ways
      .map(({ from, host, verdict, through }) => [from, host, verdict, through])
      .sort(([, one], [, other]) => String(one).localeCompare(String(other))),
    [
      ['shop/cart', 'api.partner.example', 'allowed', []],
      ['shop/cart', 'www.example.com', 'allowed', ['a proxy of another namespace']],
    ],
  );
});

/** All that is asked by GET, and what is asked by name. */
const PATHS = [
  '/state',
  '/workloads',
  '/findings',
  '/resources',
  '/proxies',
  '/certificates',
  '/outwards',
  '/learned',
  '/explain?url=http://www.example.com/&from=shop/cart',
  '/explain?url=tls://bank.example:443&from=shop/cart',
  '/explain?url=http://ledger.payments.svc.cluster.local/&from=shop/cart',
  '/explain?url=http://www.example.com/',
  '/explain?url=http://www.example.com/&from=shop/nothing',
  '/source?file=cluster:%20VirtualService%20payments/mistaken',
  '/xds?proxy=payments/ledger&type=routes',
  '/search?text=bank',
  '/mend?code=IST0101&file=cluster:%20VirtualService%20payments/mistaken&line=0&column=0',
];

test('no answer names what is in a namespace that is not seen', { skip, timeout: 120_000 }, async () => {
  const head = await as('alice');
  for (const path of PATHS) {
    const { text } = await cluster.ask(`/api/v1${path}`, { headers: head });
    const asked = decodeURIComponent(path);
    for (const word of ['payments', 'ledger', 'bank.example', 'istio-system', 'egressgateway'])
      assert.ok(!text.includes(word) || asked.includes(word), `${path} says ${word}: ${text}`);
  }
});

test('what would be false of a part is refused, whatever is changed as well', { skip, timeout: 240_000 }, async () => {
  const [alice, admin] = [await as('alice'), await cluster.cookieOf(cluster.server.token('admin'))];
  const posted = (path: string, headers: OutgoingHttpHeaders, body: object) =>
    cluster.ask(`/api/v1${path}`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  for (const path of ['/verify', '/xds?proxy=shop/cart&type=routes', '/search?text=partner']) {
    const { status, text } = await cluster.ask(`/api/v1${path}`, { headers: alice });
    assert.equal(status, 403, path);
    assert.match(text, /for those who may see all namespaces/);
  }
  const { text } = await cluster.ask('/api/v1/verify', { headers: admin });
  assert.match(text.trim().split('\n').at(-1)!, /"adversary":"captured","statement":/);
  for (const headers of [alice, admin]) {
    const { status, text: said } = await posted('/mend/write', { ...headers, origin: `http://127.0.0.1:${cluster.port}` }, {});
    assert.deepEqual([status, JSON.parse(said).code], [403, 'read-only']);
  }
});

test('other sites, and names that lead here by chance, get nothing done', { skip, timeout: 60_000 }, async () => {
  const [token, head] = [await cluster.token('alice'), await as('alice')];
  const host = `127.0.0.1:${cluster.port}`;
  for (const foreign of [
    { origin: 'http://evil.example' },
    { origin: 'null' },
    { host: 'evil.example' },
    { host: `console.example:${cluster.port}` },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ]) {
    const name = JSON.stringify(foreign);
    assert.equal((await cluster.enter(token, foreign)).status, 403, name);
    assert.equal((await cluster.ask('/api/v1/state', { headers: { ...head, ...foreign } })).status, 403, name);
    assert.equal((await cluster.ask('/leave', { method: 'POST', headers: { ...head, ...foreign } })).status, 403, name);
    assert.equal((await cluster.ask('/api/v1/state', { headers: { ...foreign, authorization: `Bearer ${token}` } })).status, 403, name);
  }
  assert.equal((await cluster.ask('/enter', { headers: head })).status, 404, 'nobody enters by a link');
  assert.equal((await cluster.ask('/leave', { headers: head })).status, 404);
  assert.equal((await cluster.ask('/api/v1/state', { headers: { ...head, host, origin: `http://${host}` } })).status, 200);
});

test('a token may come with each request, and counts before any cookie', { skip, timeout: 60_000 }, async () => {
  const authorization = `Bearer ${await cluster.token('bob')}`;
  const { person } = (await cluster.json('/state', { authorization, ...(await as('alice')) })) as State;
  assert.equal(person, 'system:serviceaccount:people:bob');
  for (const wrong of ['Bearer nonsense', 'Basic YTpi', 'Bearer']) {
    const headers = { ...(await as('alice')), authorization: wrong };
    assert.equal((await cluster.ask('/api/v1/state', { headers })).status, 401, wrong);
  }
});

/** One request over TLS, by a name that its certificate is to have. */
function askSecurely(port: number, name: string, roots: string, headers: OutgoingHttpHeaders, token?: string) {
  const body = token === undefined ? undefined : new URLSearchParams({ token }).toString();
  const form = body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length };
  const options = { host: '127.0.0.1', port, servername: name, ca: roots, method: body ? 'POST' : 'GET', agent: false as const };
  return new Promise<IncomingMessage>((resolve, reject) => {
    const asked = request({ ...options, path: body ? '/enter' : '/api/v1/state', headers: { ...form, ...headers } }, resolve);
    asked.on('error', reject);
    asked.end(body);
  });
}

test('to others it is served over TLS, by the names that it was given, and its cookie is for TLS alone', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const [port, folder] = [await freePort(), join(cluster.server.folder, 'ca')];
  const options = ['--console', `0.0.0.0:${port}`, '--console-host', 'console.example', '--ca', folder];
  const controller = await startController(cluster.server, ...options);
  t.after(() => controller.end());
  const roots = readFileSync(join(folder, 'root-cert.pem'), 'utf8');
  const host = `console.example:${port}`;
  const entered = await askSecurely(port, 'console.example', roots, { host, origin: `https://${host}` }, await cluster.token('bob'));
  assert.equal(entered.statusCode, 303);
  const [cookie] = entered.headers['set-cookie']!;
  assert.match(cookie!, /; HttpOnly; SameSite=Strict; Path=\/; Secure$/);
  const head = { host, cookie: cookie!.split(';')[0]! };
  const answered = async (headers: OutgoingHttpHeaders) => (await askSecurely(port, 'console.example', roots, headers)).statusCode;
  assert.equal(await answered(head), 200);
  assert.equal(await answered({ ...head, host: 'other.example' }), 403);
  assert.equal(await answered({ ...head, origin: `http://${host}` }), 403);
  await assert.rejects(askSecurely(port, 'other.example', roots, { host }), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  for (const wrong of [
    ['--console', `0.0.0.0:${port}`],
    ['--console-host', 'console.example'],
  ])
    await assert.rejects(startController(cluster.server, ...wrong), /it ended without/);
});

test('whoever leaves is out', { skip, timeout: 60_000 }, async () => {
  const head = await as('alice');
  const events = await cluster.open('/api/v1/events', { headers: head });
  await once(events, 'data');
  const closed = once(events.resume(), 'end');
  const { status, headers } = await cluster.ask('/leave', { method: 'POST', headers: head });
  assert.equal(status, 303);
  assert.match(headers['set-cookie']![0]!, /Max-Age=0/);
  await closed;
  assert.equal((await cluster.ask('/api/v1/state', { headers: head })).status, 401);
});

/** As kubectl port-forward: bytes between another port and the console. Returns the port. */
async function forwarded(t: TestContext): Promise<number> {
  const server = createServer((client) => {
    const there = connect(cluster.port, '127.0.0.1');
    client.pipe(there).pipe(client);
    for (const end of [client, there]) end.on('error', () => [client, there].map((each) => each.destroy()));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A page at the form, and what the browser complained of. */
async function opened(t: TestContext): Promise<{ readonly page: Page; readonly origin: string; readonly problems: string[] }> {
  const browser = await chromium.launch({ executablePath: findTool('chromium')!, args: ['--no-sandbox', '--disable-gpu'] });
  t.after(() => browser.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(60_000);
  const problems: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(error.message));
  const origin = `http://localhost:${await forwarded(t)}`;
  await page.goto(origin);
  return { page, origin, problems };
}

async function enterOn(page: Page, token: string): Promise<void> {
  await page.getByLabel('Bearer token').fill(token);
  await page.getByRole('button', { name: 'Enter' }).click();
}

test('in a browser: the form, what one sees, what is refused, and the way out', {
  skip: skip || skipPages,
  timeout: 240_000,
}, async (t) => {
  const { page, origin, problems } = await opened(t);
  await enterOn(page, 'nonsense');
  await page.getByText('the cluster does not take this token').waitFor();
  await enterOn(page, await cluster.token('alice'));
  await page.getByText('people/alice').waitFor();
  await page.getByText('sees shop').waitFor();
  await page.locator('.list-row', { hasText: 'shop/mistaken' }).first().click();
  await page.locator('.details .message').waitFor();
  assert.ok(!(await page.locator('body').textContent())!.includes('payments'));
  const show = (hash: string) => page.goto(`${origin}/#/${hash}`);
  await show('flows');
  await page.getByText('No proxy tells this controller').waitFor();
  await show('change');
  const editor = page.getByRole('textbox', { name: 'Objects to apply, YAML' });
  await editor.fill(opening('shop', 'evil.example'));
  await page.getByRole('button', { name: 'Compare' }).click();
  await page.getByText('evil.example:443').first().waitFor();
  await page.getByText('Calls of workloads in namespaces that you may see').waitFor();
  await page
    .locator('input[type=file]')
    .first()
    .setInputFiles({ name: 'a.yaml', mimeType: 'text/yaml', buffer: Buffer.from(opening('payments', 'x.example')) });
  await page.getByText('# a.yaml').waitFor();
  await page.getByRole('button', { name: 'Compare' }).click();
  await page.getByText('is in no namespace that you may see').waitFor();
  await show('proof');
  await page.getByText('for those who may see all namespaces').waitFor();
  await show('way-out');
  await page.getByRole('button', { name: 'destination api.partner.example:443' }).waitFor();
  await show('configuration');
  await page.locator('.list-row', { hasText: 'shop/own' }).click();
  await page.getByText('kubectl get serviceentry.networking.istio.io -n shop own -o yaml').waitFor();
  await page.getByRole('button', { name: 'Leave' }).click();
  await page.getByLabel('Bearer token').waitFor();
  // What the browser says of the form and the proof that were refused.
  assert.deepEqual(
    problems.filter((problem) => !/status of 40[13]/.test(problem)),
    [],
  );
});

test('whom the cluster no longer takes is out: an account that is gone, a token that has expired, rights that were taken away', {
  skip,
  timeout: 180_000,
}, async (t) => {
  const rbac = 'rbac.authorization.k8s.io/v1';
  const gone = await as('carol');
  const expired = await cluster.cookieOf(await cluster.shortToken('bob', 5));
  const robbed = await as('alice');
  const streams = await Promise.all([gone, expired, robbed].map((headers) => cluster.open('/api/v1/events', { headers })));
  for (const stream of streams) await once(stream, 'data');
  // A page that is open says so, too.
  const looking = skipPages ? undefined : await opened(t);
  if (looking) {
    await enterOn(looking.page, await cluster.token('carol'));
    await looking.page.getByText('people/carol').waitFor();
  }
  const ends = streams.map((stream) => once(stream.resume(), 'end'));
  await cluster.server.delete('ServiceAccount', 'v1', 'carol', 'people');
  await cluster.server.delete('RoleBinding', rbac, 'alice', 'shop');
  await Promise.all(ends);
  if (looking) await looking.page.getByText('Enter again').waitFor();
  for (const headers of [gone, expired, robbed]) assert.equal((await cluster.ask('/api/v1/state', { headers })).status, 401);
});

test('while the API server does not answer nobody enters', { skip, timeout: 120_000 }, async () => {
  const token = await cluster.token('bob');
  await cluster.server.down();
  const { status, text } = await cluster.enter(token);
  assert.equal(status, 503);
  assert.match(text, /does not say who may see what/);
  await cluster.server.up();
  await cluster.cookieOf(token);
});
