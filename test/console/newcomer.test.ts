/** A newcomer's questions, asked of a console in a browser: each is answered in so many clicks from where it opens. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium, type Locator } from 'playwright-core';
import { freePort, PROGRAM, Program } from '../integration/cli/program.ts';
import { findTool, needs } from '../integration/tools.ts';
import { mesh, skip, World } from './world.ts';

const PAYMENTS = `apiVersion: v1
kind: Pod
metadata: { name: ledger, namespace: payments, labels: { app: ledger } }
spec: { containers: [{ name: app }, { name: istio-proxy }] }
status: { phase: Running, podIP: 10.1.0.3 }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: bank, namespace: payments }
spec: { hosts: [bank.example], exportTo: ["."], location: MESH_EXTERNAL, resolution: DNS, ports: [{ number: 443, name: tls, protocol: TLS }] }
`;

/** Counts its clicks. */
function clicker() {
  const made: string[] = [];
  const click = async (target: Locator) => {
    await target.click();
    made.push(String(target));
  };
  return { made, click };
}

let world: World;
before(async () => {
  if (!skip) world = await World.start({ 'payments.yaml': PAYMENTS });
});
after(() => world?.end());

test('what may payments reach? Two clicks: the page, and the workload', { skip }, async () => {
  const { page } = await world.open();
  const { made, click } = clicker();
  await click(page.getByRole('link', { name: /^Way out/ }));
  await click(page.getByRole('button', { name: 'workload payments/ledger' }));
  const reach = page.locator('.selected');
  await reach.getByText('May reach').waitFor();
  const text = (await reach.textContent())!;
  assert.match(text, /May reach.*bank\.example:443/);
  assert.match(text, /www\.example\.com:80 by istio-system\/istio-egressgateway/);
  assert.match(text, /leak\.example\.com:80, past the gateway/);
  // Its whole way, and no other's.
  const isFaded = async (name: string) => (await page.getByRole('button', { name }).getAttribute('class'))!.includes('faded');
  assert.deepEqual(
    await Promise.all(['destination www.example.com:80', 'destination bank.example:443', 'workload default/local'].map(isFaded)),
    [false, false, true],
  );
  assert.match(text, /Not declaredrefused/);
  assert.equal(made.length, 2);
});

test('who was refused in the last minute, and why? Two clicks, also of what was before anybody looked', { skip }, async () => {
  await world.call('http://nobody.example/');
  const { page } = await world.open();
  const { made, click } = clicker();
  await click(page.getByRole('link', { name: /^Refused/ }));
  await click(page.getByRole('button', { name: 'Last minute' }));
  const row = page.locator('.list-row', { hasText: 'nobody.example' }).first();
  await row.waitFor();
  assert.match((await row.textContent())!, /refused.*nobody\.example.*default\/local.*not declared for this caller/);
  assert.equal(made.length, 2);
});

const OPENED = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: more, namespace: default }
spec: { hosts: [more.example], location: MESH_EXTERNAL, resolution: DNS, ports: [{ number: 443, name: tls, protocol: TLS }] }
`;

test('what does this pull request open? Two clicks, in its working tree', { skip: skip || needs('git') }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-review-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const git = (...args: readonly string[]) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.com', ...args], { cwd: folder, stdio: 'ignore' });
  mkdirSync(join(folder, 'mesh'));
  writeFileSync(join(folder, 'mesh/mesh.yaml'), mesh(8080));
  for (const args of [
    ['init', '-b', 'main'],
    ['add', '.'],
    ['commit', '-m', 'before'],
    ['checkout', '-b', 'change'],
  ])
    git(...args);
  writeFileSync(join(folder, 'mesh/more.yaml'), OPENED);
  const inFolder = ['sh', '-c', `cd "${folder}" && exec "$0" "$@"`, process.execPath, PROGRAM] as const;
  // As a shell completes it, and not as the repository names it.
  const program = new Program(['ui', join(folder, 'mesh/'), '--console', `127.0.0.1:${await freePort()}`], [...inFolder]);
  t.after(() => program.end());
  const [, address] = await program.says(/console: (http\S+)/);
  const browser = await chromium.launch({ executablePath: findTool('chromium')!, args: ['--no-sandbox', '--disable-gpu'] });
  t.after(() => browser.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(60_000);
  const { made, click } = clicker();
  await page.goto(address!);
  await click(page.getByRole('link', { name: 'Change' }));
  await click(page.getByRole('button', { name: 'What does this open beyond main?' }));
  const answer = page.getByLabel('What changes');
  await answer.locator('.verdict-widens').first().waitFor();
  assert.match((await answer.textContent())!, /ServiceEntry default\/more.*more\.example/s);
  assert.equal(made.length, 2);
});
