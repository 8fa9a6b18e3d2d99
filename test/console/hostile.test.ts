/** Names, hosts and headers are others' to choose, and every view shows them: as text and as nothing else. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { skip, World } from './world.ts';

const MARKUP = '<img src=x onerror="window.broken=1">';
const SCRIPT = '"><script>window.broken=1</script><svg onload=window.broken=1>';
const LINK = 'javascript:window.broken=1';

/** Resources whose every free text is markup. */
const RESOURCES = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${JSON.stringify(MARKUP)}, namespace: ${JSON.stringify(SCRIPT)} }
spec: { hosts: [${JSON.stringify(MARKUP)}], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: hostile, namespace: default, labels: { ${JSON.stringify(SCRIPT)}: x } }
spec:
  hosts: [www.example.com]
  gateways: [${JSON.stringify(LINK)}, ${JSON.stringify(MARKUP)}]
  http:
  - name: ${JSON.stringify(SCRIPT)}
    route: [{ destination: { host: ${JSON.stringify(`${MARKUP}.example`)} } }]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: hostile, namespace: default }
spec: { selector: { istio: ${JSON.stringify(MARKUP)} }, servers: [{ port: { number: 80, name: ${JSON.stringify(SCRIPT)}, protocol: HTTP }, hosts: ["*"] }] }
`;

let world: World;
before(async () => {
  if (!skip) world = await World.start({ [`${MARKUP.replaceAll('/', '')}.yaml`]: RESOURCES });
});
after(() => world?.end());

/** A request as no browser and no curl would write it. */
function call(port: number, target: string, host: string): Promise<void> {
  return new Promise((resolve) => {
    const asked = request(
      { host: '127.0.0.1', port, path: target, setHost: false, headers: { host, 'user-agent': SCRIPT, cookie: MARKUP } },
      (answer) => {
        answer.resume();
        answer.on('close', resolve);
      },
    );
    asked.on('error', () => resolve());
    asked.end();
  });
}

async function isUntouched(page: Page, where: string): Promise<void> {
  assert.equal(await page.evaluate('window.broken'), undefined, where);
  assert.equal(await page.locator('img, script:not([src="/main.js"]), iframe, object, [onerror], [onload]').count(), 0, where);
  assert.equal(await page.locator('a[href^="javascript:"]').count(), 0, where);
}

test('markup in names, hosts, paths and headers is text in every view', { skip }, async () => {
  const { page, problems, show } = await world.open();
  const port = Number(/proxy http:\/\/127\.0\.0\.1:(\d+)/.exec(world.program.errors)![1]);
  await call(port, `http://evil.example/${encodeURI(SCRIPT)}`, 'evil.example');
  await call(port, 'http://www.example.com/<b>/', 'www.example.com');
  await call(port, '/', '<b>x</b>');
  await call(port, `http://xn--a.example/'"><x>`, MARKUP);
  const views = [
    'way-out',
    'flows',
    'refused',
    'findings',
    'proof',
    'change',
    'configuration',
    'configuration?view=proxies',
    'configuration?view=proxies&filter=onerror',
    'configuration?view=certificates',
    'learn',
  ];
  for (const view of views) {
    await show(view);
    await page.locator('h1').waitFor();
    await page.locator('.asking').waitFor({ state: 'detached' });
    await isUntouched(page, view);
    const rows = page.locator('.list-row');
    for (let i = 0; i < Math.min(8, await rows.count()); i++) {
      await rows.nth(i).click();
      await page.locator('.details').waitFor();
      await page.locator('.asking').waitFor({ state: 'detached' });
      await isUntouched(page, `${view}, row ${i}`);
    }
  }
  await show('findings');
  await page.locator('.list-row', { hasText: 'onerror' }).first().waitFor();
  assert.deepEqual(problems, []);
});

test('markup in the address of a view is text, and opens nothing', { skip }, async () => {
  const { page, problems, show } = await world.open();
  const hostile = encodeURIComponent(`${MARKUP}${SCRIPT}`);
  for (const view of [
    `flows?filter=${hostile}&call=${hostile}`,
    `refused?group=${hostile}`,
    `findings?filter=${hostile}`,
    `configuration?file=${encodeURIComponent('/etc/passwd')}&line=1`,
    `configuration?view=proxies&proxy=${hostile}&type=${hostile}`,
    `configuration?view=proxies&filter=${hostile}`,
    `learn?without=${hostile}`,
    `change?before=${hostile}&after=file:${hostile}`,
    `way-out?node=${hostile}`,
    hostile,
  ]) {
    await show(view);
    await page.locator('h1').waitFor();
    await page.locator('.asking').waitFor({ state: 'detached' });
    await isUntouched(page, view);
    assert.ok(!(await page.locator('body').textContent())!.includes('root:x:'), view);
  }
  // What the browser says of questions that are answered 400 and 404.
  assert.deepEqual(
    problems.filter((problem) => !/status of 40[04]/.test(problem)),
    [],
  );
});
