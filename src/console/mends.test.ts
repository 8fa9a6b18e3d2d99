import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { API } from './api.ts';
import type { FindingView, Mend, State } from './model.ts';
import { readShown } from './read.ts';
import { type TestConsole, testConsole } from './testing.ts';

const SECRET = `apiVersion: v1
kind: Secret
metadata: { name: key, namespace: shop }
stringData: { key: PRIVATE }
`;
const ENTRY = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: api, namespace: shop }
spec:
  hosts: [api.example.com]
  ports: [{ number: 443, name: tls, protocol: TLS }]
  resolution: DNS
`;
const RULE = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: api, namespace: shop }
spec:
  host: api.exmaple.com`;

interface Opened {
  readonly folder: string;
  readonly file: string;
  readonly console: TestConsole;
}

async function opened(t: TestContext, { edit = false, text = `${SECRET}---\n${ENTRY}---\n${RULE}` } = {}): Promise<Opened> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-mends-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const mesh = join(folder, 'mesh');
  mkdirSync(mesh);
  const file = join(mesh, 'all.yaml');
  writeFileSync(file, text);
  const console = await testConsole(t, await readShown([mesh], {}, async () => undefined, edit));
  await console.enter();
  return { folder, file, console };
}

async function mendable({ console }: Opened): Promise<FindingView> {
  const findings = (await console.json(`${API}/findings`)) as FindingView[];
  const found = findings.find(({ mend }) => mend);
  assert.ok(found, JSON.stringify(findings));
  return found;
}

const keyOf = ({ code, place, column }: FindingView) => ({ code, file: place!.file, line: String(place!.line), column: String(column) });
const asked = (finding: FindingView) => `${API}/mend?${new URLSearchParams(keyOf(finding))}`;

/** @param more other headers; undefined: without it */
function write({ console }: Opened, finding: FindingView, digest: string, more: Readonly<Record<string, string | undefined>> = {}) {
  const all = { 'content-type': 'application/json', origin: `http://127.0.0.1:${console.port}`, ...more };
  const headers = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return console.ask(`${API}/mend/write`, { method: 'POST', headers, body: JSON.stringify({ ...keyOf(finding), digest }) });
}

test('the change is a patch that git applies, tried before, without what is in other documents', async (t) => {
  const world = await opened(t);
  const finding = await mendable(world);
  const mend = (await world.console.json(asked(finding))) as Mend;
  assert.deepEqual([mend.gone, mend.news], [true, []]);
  assert.ok(!mend.patch.includes('PRIVATE'));
  assert.match(mend.patch, /^-\s+host: api\.exmaple\.com\n\\ No newline at end of file\n\+\s+host: api\.example\.com\n/m);
  const folder = join(world.folder, 'mesh');
  execFileSync('git', ['apply', '-'], { cwd: folder, input: mend.patch, env: { ...process.env, GIT_CEILING_DIRECTORIES: world.folder } });
  assert.equal(readFileSync(world.file, 'utf8'), `${SECRET}---\n${ENTRY}---\n${RULE.replace('exmaple', 'example')}`);
});

test('what comes with the change is said', async (t) => {
  const text = `${ENTRY}---\n${RULE}\n---\n${RULE.replace('exmaple', 'example').replace('name: api,', 'name: second,')}\n  subsetz: []\n`;
  const world = await opened(t, { text: text.replace('host: api.exmaple.com', 'hst: api.example.com\n  host: api.example.com') });
  const findings = (await world.console.json(`${API}/findings`)) as FindingView[];
  const finding = findings.find(({ mend }) => mend?.from === 'hst');
  // The field would stand twice then.
  const mend = (await world.console.json(asked(finding!))) as Mend;
  assert.ok(mend.news.length > 0, JSON.stringify(mend));
});

test('without --edit nothing is written', async (t) => {
  const world = await opened(t);
  const finding = await mendable(world);
  const { digest } = (await world.console.json(asked(finding))) as Mend;
  assert.equal(((await world.console.json(`${API}/state`)) as State).canEdit, false);
  const { status, text } = await write(world, finding, digest);
  assert.equal(status, 403);
  assert.match(text, /--edit/);
  assert.match(readFileSync(world.file, 'utf8'), /exmaple/);
});

test('with --edit it is written once, and what is shown is read again', async (t) => {
  const world = await opened(t, { edit: true });
  chmodSync(world.file, 0o640);
  const finding = await mendable(world);
  const { digest } = (await world.console.json(asked(finding))) as Mend;
  assert.equal((await write(world, finding, digest)).status, 200);
  assert.equal(readFileSync(world.file, 'utf8'), `${SECRET}---\n${ENTRY}---\n${RULE.replace('exmaple', 'example')}`);
  assert.equal(statSync(world.file).mode & 0o777, 0o640);
  assert.deepEqual(readdirSync(join(world.folder, 'mesh')), ['all.yaml']);
  const left = (await world.console.json(`${API}/findings`)) as FindingView[];
  assert.ok(!left.some(({ mend }) => mend));
  assert.equal((await write(world, finding, digest)).status, 404);
});

test('pages of other sites, programs and other methods write nothing', async (t) => {
  const world = await opened(t, { edit: true });
  const finding = await mendable(world);
  const { digest } = (await world.console.json(asked(finding))) as Mend;
  for (const more of [
    { origin: 'http://evil.example' },
    { origin: `http://localhost:${world.console.port}` },
    { origin: 'null' },
    { origin: '' },
    { origin: undefined },
    { 'sec-fetch-site': 'same-site' },
    { 'content-type': 'text/plain' },
    { host: 'evil.example' },
    { cookie: '' },
  ])
    assert.ok([400, 401, 403].includes((await write(world, finding, digest, more)).status), JSON.stringify(more));
  const { status } = await world.console.ask(`${API}/mend/write?${new URLSearchParams({ ...keyOf(finding), digest })}`);
  assert.equal(status, 405);
  assert.match(readFileSync(world.file, 'utf8'), /exmaple/);
});

test('a file that has changed since is left as it is', async (t) => {
  const world = await opened(t, { edit: true });
  const finding = await mendable(world);
  const { digest } = (await world.console.json(asked(finding))) as Mend;
  const other = `${readFileSync(world.file, 'utf8')}\n# more\n`;
  writeFileSync(world.file, other);
  assert.equal((await write(world, finding, digest)).status, 409);
  assert.equal((await write(world, finding, '')).status, 409);
  assert.equal(readFileSync(world.file, 'utf8'), other);
});

test('what is not under the folder is not written, also where a link has taken the file’s place', async (t) => {
  const world = await opened(t, { edit: true });
  const finding = await mendable(world);
  const { digest } = (await world.console.json(asked(finding))) as Mend;
  const text = readFileSync(world.file, 'utf8');
  const outside = join(world.folder, 'outside.yaml');
  writeFileSync(outside, text);
  rmSync(world.file);
  symlinkSync(outside, world.file);
  const { status, text: said } = await write(world, finding, digest);
  assert.equal(status, 403, said);
  assert.equal(readFileSync(outside, 'utf8'), text);
  const elsewhere = { ...finding, place: { file: outside, line: finding.place!.line } };
  assert.equal((await write(world, elsewhere, digest)).status, 404);
});

test('a file that its owner made read-only, or that is no UTF-8, is left as it is', async (t) => {
  const world = await opened(t, { edit: true });
  const finding = await mendable(world);
  const { digest } = (await world.console.json(asked(finding))) as Mend;
  chmodSync(world.file, 0o444);
  const { status, text: said } = await write(world, finding, digest);
  assert.equal(status, 403, said);
  assert.match(said, /not-writable/);
  chmodSync(world.file, 0o644);
  const broken = Buffer.concat([readFileSync(world.file), Buffer.from('\n# caf\xe9\n', 'latin1')]);
  writeFileSync(world.file, broken);
  const refused = await world.console.ask(asked(finding));
  assert.equal(refused.status, 409, refused.text);
  assert.deepEqual(readFileSync(world.file), broken);
});
