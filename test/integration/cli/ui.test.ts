/** `sallyport ui`, and the console beside `up`. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { translatedDump } from '../../../src/inputs/dump.ts';
import { Reader } from '../../../src/inputs/reader.ts';
import { freePort, start } from './program.ts';

const EXAMPLE = join(import.meta.dirname, '../../../examples/egress-http');
const skip = process.platform === 'linux' ? false : 'routers need the addresses of 127.0.0.0/8, which Linux has';

/** What a question is answered, once the token has become a cookie. */
async function entered(address: string): Promise<(path: string) => Promise<unknown>> {
  const { origin } = new URL(address);
  const answer = await fetch(address, { redirect: 'manual' });
  assert.equal(answer.status, 303);
  const cookie = answer.headers.getSetCookie()[0]!.split(';')[0]!;
  return async (path) => (await fetch(`${origin}/api/v1${path}`, { headers: { cookie } })).json();
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'sallyport-ui-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('ui shows a folder until it is interrupted', async (t) => {
  const ui = start(t, ['ui', EXAMPLE, '--console', '0']);
  const [, address] = await ui.says(/console: (http\S+)/);
  const ask = await entered(address!);
  const { kind, resources, hasFlows } = (await ask('/state')) as { kind: string; resources: number; hasFlows: boolean };
  assert.deepEqual([kind, hasFlows], ['files', false]);
  assert.ok(resources >= 4);
  await ui.says(/console: http\S+\n.*console: http/s);
  assert.equal(await ui.end(), 0);
});

test('ui explains calls over config dumps, and says what dumps do not answer', async (t) => {
  const reader = new Reader({ tell: async () => undefined, leftOut: () => undefined, access: () => assert.fail() });
  const files = await reader.simulated([EXAMPLE], {});
  const path = join(folder(t), 'sidecar.json');
  writeFileSync(path, JSON.stringify((await translatedDump(files, 'default/local')).dump));
  const ui = start(t, ['ui', '--config-dump', path, '--console', '0']);
  const [, address] = await ui.says(/console: (http\S+)/);
  const ask = await entered(address!);
  assert.equal(((await ask('/state')) as { kind: string }).kind, 'dump');
  const [workload] = (await ask('/workloads')) as string[];
  const explained = await ask(`/explain?url=http://www.example.org/&from=${encodeURIComponent(workload!)}`);
  assert.match((explained as { text: string }).text, /502/);
  assert.match(((await ask('/outwards')) as { message: string }).message, /a config dump holds no resources/);
});

test('ui says what it cannot show', async (t) => {
  for (const args of [[], [EXAMPLE, '--config-dump', 'x'], ['git:HEAD', EXAMPLE]])
    assert.equal(await start(t, ['ui', ...args]).exit, 2, args.join(' '));
  const far = start(t, ['ui', EXAMPLE, '--console', '0.0.0.0:0']);
  assert.notEqual(await far.exit, 0);
  assert.match(far.errors, /loopback/);
});

test('up runs where the port of its console is taken, says so, and has none where it is off', { skip }, async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const none = ['--capture-port', '0', '--dns-address', '0', '--admin-address', '0', '--status-address', '0'];
  const args = async (router: string) => ['up', EXAMPLE, '--proxy-address', String(await freePort()), '--router-address', router, ...none];
  const beside = start(t, [...(await args('127.71.0.1')), '--console', String(port)]);
  await beside.says(new RegExp(`no console: .*127\\.0\\.0\\.1:${port} is already in use.*--console`));
  assert.equal(await beside.end(), 0);
  assert.match(beside.errors, /ready: use the proxy/);
  const off = start(t, [...(await args('127.72.0.1')), '--console', 'off']);
  await off.says(/ready: use the proxy/);
  assert.equal(await off.end(), 0);
  assert.doesNotMatch(off.errors, /console/);
  const far = start(t, [...(await args('127.73.0.1')), '--console', '10.0.0.1:15016']);
  assert.equal(await far.exit, 2);
});
