/** Every page of the console in a real Chromium, over a mesh that runs. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import { type Opened, skip, World } from './world.ts';

let world: World;
before(async () => {
  if (!skip) world = await World.start();
});
after(() => world?.end());

const row = (page: Page, text: string) => page.locator('.list-row', { hasText: text }).first();

test('a refused call is found, explained and mended, and then it is allowed', { skip }, async () => {
  const { page, show, problems } = await world.open();
  const url = `http://127.0.0.1:${world.serverPort}/orders`;
  await world.call(url);
  await page.locator('a', { hasText: 'Refused' }).locator('.badge').waitFor();
  await show('refused');
  await row(page, `127.0.0.1:${world.serverPort}`).click();
  await page.locator('.outcome-refused').waitFor();
  const added = page.locator('.mend .diff-added');
  await added.first().waitFor();
  const yaml = (await added.allTextContents()).map((line) => line.replace(/^\+ /, '')).join('');
  assert.match(yaml, /kind: ServiceEntry/);
  world.write('allowed.yaml', yaml);
  // The page follows what is in force.
  await page.locator('.outcome-allowed').waitFor();
  assert.equal(await world.call(url), '200');
  await show('flows?filter=verdict:allowed');
  await row(page, `127.0.0.1:${world.serverPort}`).waitFor();
  assert.deepEqual(problems, []);
});

test('calls are filtered, opened with the resources that decided, and held while one reads', { skip }, async () => {
  const { page, show, problems } = await world.open();
  await show('flows');
  await world.call('http://www.example.com/shop?secret=1');
  await row(page, '/shop').waitFor();
  assert.ok(!(await page.locator('.list').textContent())!.includes('secret'));
  await page.keyboard.press('/');
  await page.keyboard.type('host:nobody.example');
  await page.getByText('No call fits the filter').waitFor();
  await page.keyboard.press('Escape');
  await row(page, '/shop').waitFor();
  await page.getByRole('button', { name: 'Pause' }).click();
  await world.call('http://www.example.com/while-paused');
  await page.getByRole('button', { name: /Go on \(.* waiting\)/ }).waitFor();
  assert.equal(await row(page, '/while-paused').count(), 0);
  await page.getByRole('button', { name: /Go on/ }).click();
  await row(page, '/while-paused').waitFor();
  await page.locator('.filter-input').fill('verdict:perhaps');
  await page.getByText('verdict is one of allowed, refused, failed').waitFor();
  await page.locator('.filter-input').fill('proxy:default/local');
  await row(page, '/while-paused').click();
  await page.locator('.details .hop').nth(1).waitFor();
  const origin = page.locator('.details .origin', { hasText: 'VirtualService default/www' }).first();
  await origin.click();
  await page.locator('.details .code .cm-marked').waitFor();
  assert.match((await page.locator('.details .cm-marked').textContent())!, /apiVersion|VirtualService/);
  assert.deepEqual(problems, []);
});

test('a leak past the gateway is seen on the map, and proved', { skip }, async () => {
  const { page, show, problems } = await world.open();
  await world.call('http://leak.example.com/');
  await show('way-out');
  await page.locator('.map path.edge-round').first().waitFor({ state: 'attached' });
  await page.getByRole('button', { name: 'destination leak.example.com:80' }).click();
  await page.getByText('Its flows').click();
  await row(page, 'leak.example.com').waitFor();
  await show('proof');
  await page.getByText('a call to leak.example.com').waitFor();
  await page.getByRole('button', { name: 'Explain it' }).first().click();
  await page.locator('.outcome-allowed').waitFor();
  await page.getByText('kind: NetworkPolicy').first().waitFor();
  assert.deepEqual(problems, []);
});

test('findings stand at their lines', { skip }, async () => {
  const { page, show, problems } = await world.open();
  await show('findings');
  await row(page, 'IST0101').click();
  await page.locator('.details .cm-marked', { hasText: 'no-such-gateway' }).waitFor();
  await page.locator('.filter-input').fill('nothing like it');
  await page.getByText('No finding fits').waitFor();
  assert.deepEqual(problems, []);
});

const MISSPELT = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: www, namespace: default }
spec: { host: www.exmaple.com }
`;

test('what mends a finding is shown as a diff, and written with --edit', { skip }, async () => {
  const own = await World.start({ 'rule.yaml': MISSPELT }, ['--edit']);
  try {
    const { page, show, problems } = await own.open();
    await show('findings');
    await row(page, 'IST0174').click();
    await page.getByText('the finding is gone with it, and no new one comes').waitFor();
    assert.equal(await page.locator('.diff-removed').textContent(), '-spec: { host: www.exmaple.com }\n');
    assert.equal(await page.locator('.diff-added').textContent(), '+spec: { host: www.example.com }\n');
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download patch' }).click();
    assert.match(readFileSync(await (await download).path(), 'utf8'), /^--- a\/rule\.yaml$/m);
    await page.getByRole('button', { name: 'Write it to the file' }).click();
    // The mesh follows its files, and the console the mesh.
    await row(page, 'IST0174').waitFor({ state: 'detached' });
    assert.equal(readFileSync(join(own.folder, 'rule.yaml'), 'utf8'), MISSPELT.replace('exmaple', 'example'));
    assert.deepEqual(problems, []);
  } finally {
    await own.end();
  }
});

const OTHER = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'ServiceEntry',
  metadata: { name: 'other', namespace: 'default' },
  spec: { hosts: ['other.example.com'], ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], resolution: 'DNS' },
};

test('a change is reviewed before it is written, and by whoever gets the link', { skip }, async () => {
  const { page, show, problems } = await world.open({ permissions: ['clipboard-read', 'clipboard-write'] });
  await show('change');
  await page.getByLabel('After').selectOption({ label: 'mesh.yaml, edited' });
  const editor = page.locator('.cm-content[contenteditable="true"]');
  await editor.waitFor();
  const text = readFileSync(join(world.folder, 'mesh.yaml'), 'utf8');
  await editor.click();
  await page.keyboard.press('Control+End');
  await page.keyboard.type(`---\n${JSON.stringify(OTHER)}`);
  await page.getByRole('button', { name: 'Compare' }).click();
  await page.locator('.verdict-widens').first().waitFor();
  await page.getByText('other.example.com').first().waitFor();
  assert.equal(readFileSync(join(world.folder, 'mesh.yaml'), 'utf8'), text, 'nothing is written');
  await page.getByRole('button', { name: 'Copy link' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  const link = await page.evaluate<string>('navigator.clipboard.readText()');
  assert.ok(!link.includes(world.folder), 'where it lies is each person’s own');
  assert.deepEqual(problems, []);

  const other = await world.open();
  await other.page.goto(link);
  await other.page.locator('.cm-content[contenteditable="true"]').waitFor();
  assert.equal(await other.page.locator('.verdict-widens').count(), 0, 'nothing is asked before somebody says so');
  await other.page.getByRole('button', { name: 'Compare' }).click();
  await other.page.locator('.verdict-widens').first().waitFor();
  await other.page.goto('about:blank');
  await other.page.goto(link.replace(/edited=[^&]+/, 'edited=bm90IHBhY2tlZA'));
  await other.page.getByText('did not come whole').waitFor();
  assert.deepEqual(other.problems, []);
});

test('resources are shown where they are written, and proxies with what they run', { skip }, async () => {
  const { page, show, problems } = await world.open();
  await show('configuration');
  await row(page, 'Gateway').click();
  await page.locator('.details .cm-marked').waitFor();
  await show('configuration?view=proxies');
  await page
    .locator('.card', { hasText: 'istio-egressgateway' })
    .getByRole('link', { name: /listeners/ })
    .click();
  await page.locator('.details .cm-line', { hasText: 'dynamic_listeners' }).waitFor();
  assert.equal(await page.getByText('in sync').count(), 2);
  assert.deepEqual(problems, []);
});

test('what proxies run is searched, and a line is opened where it stands', { skip }, async () => {
  const { page, show, problems } = await world.open();
  await show('configuration?view=proxies');
  await page.locator('.filter-input').fill('LEAK.example.com');
  await row(page, 'leak.example.com').click();
  await page.locator('.details .cm-marked', { hasText: 'leak.example.com' }).waitFor();
  await page.locator('.filter-input').fill('no such text');
  await page.getByText('No proxy runs anything with this text').waitFor();
  assert.deepEqual(problems, []);
});

test('certificates say when they end', { skip }, async () => {
  const { page, show, problems } = await world.open();
  await show('configuration?view=certificates');
  const card = page.locator('.card', { hasText: 'proxy default/local' }).first();
  await card.waitFor();
  const until = Date.parse(/until (\S+)/.exec((await card.textContent())!)![1]!);
  assert.ok(until > Date.now(), `${until}`);
  assert.deepEqual(problems, []);
});

test('what is called while learning grows into resources, of the hosts that are accepted', { skip }, async () => {
  const file = join(tmpdir(), `sallyport-learned-${process.pid}.yaml`);
  const own = await World.start({}, ['--learn', file]);
  try {
    const { page, show, problems } = await own.open();
    await show('learn');
    await page.getByText('Nothing was called yet').waitFor();
    const [first, second] = [`127.0.0.1:${own.serverPort}`, `127.0.0.2:${own.serverPort}`];
    assert.equal(await own.call(`http://${first}/`), '200');
    await page.locator('.diff-added', { hasText: '127.0.0.1' }).first().waitFor();
    await own.call(`http://${second}/`);
    await page.locator('label', { hasText: second }).waitFor();
    await page.locator('label', { hasText: first }).locator('input').uncheck();
    await page.locator('.diff-added', { hasText: '127.0.0.1' }).first().waitFor({ state: 'detached' });
    await page.getByText('HTTP, 1 call').first().waitFor();
    assert.deepEqual(problems, []);
  } finally {
    await own.end();
    rmSync(file, { force: true });
  }
});

const VIEWS = [
  'way-out',
  'flows',
  'refused',
  'findings',
  'proof',
  'change',
  'configuration',
  'configuration?view=proxies',
  'configuration?view=proxies&filter=example',
  'configuration?view=certificates',
  'learn',
  'no-such-page',
] as const;
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** What axe has against the page as it is. */
async function violations(page: Page): Promise<string[]> {
  const found = (await page.evaluate(
    `axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)`,
  )) as Violation[];
  return found.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary ?? ''}`));
}

/** Opens the first of what there is, so that its details are looked at as well. */
async function settled(page: Page): Promise<void> {
  await page.locator('.asking').waitFor({ state: 'detached' });
  const first = page.locator('.list-row').first();
  if ((await first.count()) === 0) return;
  await first.click();
  await page.locator('.details').waitFor();
  await page.locator('.asking').waitFor({ state: 'detached' });
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`axe finds nothing wrong with any page, ${colorScheme}`, { skip }, async () => {
    // The page's own policy keeps scripts of tests out, too.
    const { page, show } = await world.open({ colorScheme, bypassCSP: true });
    await world.call('http://www.example.com/');
    await world.call('http://refused.example.com/');
    await page.evaluate(AXE);
    for (const view of VIEWS) {
      await show(view);
      await settled(page);
      assert.deepEqual(await violations(page), [], view);
    }
  });
}

test('everything can be reached with the keys', { skip }, async () => {
  const { page, show } = await world.open();
  await world.call('http://www.example.com/');
  await show('flows');
  await page.locator('.list-row').first().waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.evaluate('document.querySelector(".skip").focus()');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate('document.activeElement.id'), 'main');
  await page.keyboard.press('Alt+Digit4');
  await page.locator('h1', { hasText: 'Findings' }).waitFor();
  await page.locator('.list-row').first().focus();
  await page.keyboard.press('End');
  await page.keyboard.press('Enter');
  await page.locator('.details').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('.details').waitFor({ state: 'detached' });
  const outline = await page.evaluate(`getComputedStyle(document.activeElement).outlineStyle`);
  assert.equal(outline, 'solid', 'where one is can be seen');
});

test('no page is wider than its window, down to a phone, and the theme can be chosen', { skip }, async () => {
  const { page, show } = await world.open({ colorScheme: 'light' });
  for (const width of [1024, 390]) {
    await page.setViewportSize({ width, height: 780 });
    for (const view of VIEWS) {
      await show(view);
      await settled(page);
      assert.ok((await page.evaluate<number>('document.documentElement.scrollWidth')) <= width, `${view} at ${width}`);
    }
  }
  const ground = () => page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
  const light = await ground();
  const button = page.getByRole('button', { name: /Theme/ });
  await button.click();
  assert.equal(await ground(), light);
  await button.click();
  assert.notEqual(await ground(), light);
  await page.reload();
  await page.locator('h1').waitFor();
  assert.notEqual(await ground(), light, 'it is kept');
});

test('the first view is small, and the address that led to it leads nobody in again', { skip }, async () => {
  const context = await world.browser.newContext();
  const page = await context.newPage();
  const { address } = world;
  const bodies: Promise<Buffer>[] = [];
  page.on('response', (response) => {
    if (!response.url().includes('/api/') && response.status() === 200) bodies.push(response.body());
  });
  await page.goto(address);
  await page.locator('h1').waitFor();
  const size = (await Promise.all(bodies)).reduce((sum, body) => sum + gzipSync(body).length, 0);
  assert.ok(size > 10_000 && size < 150_000, `${size} bytes gzipped`);
  assert.ok(!page.url().includes('token'), 'no token stays in the history');
  const other = await (await world.browser.newContext()).newPage();
  const again = await other.goto(address);
  assert.equal(again!.status(), 401);
});

test('a console whose Sallyport has ended says so, and keeps what it knew', { skip }, async () => {
  const last = await World.start();
  try {
    const { page, show }: Opened = await last.open();
    await last.call('http://www.example.com/before-the-end');
    await show('flows');
    await row(page, '/before-the-end').waitFor();
    last.program.child.kill('SIGTERM');
    await page.locator('.banner', { hasText: 'Sallyport has ended' }).waitFor();
    await row(page, '/before-the-end').waitFor();
  } finally {
    await last.end();
  }
});
