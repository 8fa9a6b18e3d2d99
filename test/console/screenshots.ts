/** Writes the pictures of docs/console.md: every page, light and dark, over a mesh that runs. `node test/console/screenshots.ts` */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { World } from './world.ts';

const FOLDER = join(import.meta.dirname, '../../docs/console');

function entry(name: string, hosts: readonly string[], port: number, protocol: string): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: shop }
spec: { hosts: [${hosts.map((host) => `"${host}"`).join(', ')}], ports: [{ number: ${port}, name: ${protocol.toLowerCase()}, protocol: ${protocol} }], location: MESH_EXTERNAL, resolution: ${hosts[0]!.startsWith('*') ? 'NONE' : 'DNS'} }
---
`;
}

function pod(namespace: string, name: string, ip: string): string {
  return `apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${namespace}, labels: { app: ${name} } }
spec: { containers: [{ name: app }, { name: istio-proxy }] }
status: { phase: Running, podIP: ${ip} }
---
`;
}

const SHOP = [
  pod('shop', 'cart', '10.1.0.1'),
  pod('shop', 'catalogue-with-a-rather-long-name-7f9c', '10.1.0.2'),
  pod('payments', 'ledger', '10.1.0.3'),
  entry('payments-api', ['api.payments.example'], 443, 'TLS'),
  entry('mail', ['smtp.mail.example'], 587, 'TCP'),
  entry('images', ['*.images.example'], 443, 'TLS'),
].join('');

const WINDOW = { width: 1160, height: 700 };

const VIEWS: readonly (readonly [name: string, hash: string, prepare?: (page: Page) => Promise<unknown>])[] = [
  // The whole of the map.
  ['way-out', 'way-out', (page) => page.setViewportSize({ ...WINDOW, height: 980 })],
  ['flows', 'flows', (page) => page.locator('.list-row', { hasText: '/orders' }).last().click()],
  ['refused', 'refused', (page) => page.locator('.list-row', { hasText: 'api.partner.example' }).first().click()],
  ['findings', 'findings', (page) => page.locator('.list-row').first().click()],
  ['proof', 'proof'],
  ['change', 'change', review],
  ['configuration', 'configuration', (page) => page.locator('.list-row', { hasText: 'VirtualService' }).first().click()],
];

async function review(page: Page): Promise<void> {
  await page.getByLabel('After').selectOption({ index: 2 });
  await page.locator('.cm-content[contenteditable="true"]').click();
  await page.keyboard.press('Control+End');
  const more = entry('more', ['downloads.example'], 80, 'HTTP').split('\n').slice(0, 4);
  // As it is typed, the editor indents by itself.
  await page.keyboard.type(`---\n${more.join('\n')}`);
  await page.keyboard.press('Home');
  await page.getByRole('button', { name: 'Compare' }).click();
  await page.locator('.card .verdict').first().waitFor();
}

const CALLS = [
  'http://www.example.com/orders',
  'http://www.example.com/orders/17',
  'http://leak.example.com/track',
  'http://api.partner.example/v1/stock',
  'http://cdn.example.org/font',
  'https://telemetry.example.net/',
];

mkdirSync(FOLDER, { recursive: true });
const world = await World.start({ 'shop.yaml': SHOP });
try {
  for (const colorScheme of ['light', 'dark'] as const) {
    const { page, show } = await world.open({ colorScheme, viewport: WINDOW });
    for (const url of [...CALLS, ...CALLS.slice(0, 2), ...CALLS.slice(0, 1)]) await world.call(url);
    for (const [name, hash, prepare] of VIEWS) {
      await show(hash);
      await page.locator('.asking').waitFor({ state: 'detached' });
      await prepare?.(page);
      await page.locator('.asking').waitFor({ state: 'detached' });
      await page
        .locator('.code')
        .first()
        .locator('.cm-line')
        .first()
        .waitFor({ timeout: 5_000 })
        .catch(() => undefined);
      await page.screenshot({ path: join(FOLDER, `${name}-${colorScheme}.png`), animations: 'disabled' });
      await page.setViewportSize(WINDOW);
    }
    if (colorScheme === 'light') {
      await page.setViewportSize({ width: 390, height: 780 });
      await show('refused');
      await page.locator('.list-row').first().waitFor();
      await page.screenshot({ path: join(FOLDER, 'phone-light.png') });
    }
  }
} finally {
  await world.end();
}
