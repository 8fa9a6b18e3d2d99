/** Writes the pictures of a cluster's console in docs/console.md, light and dark. `node test/kube/console-screenshots.ts` */
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { freshPages } from '../console/world.ts';
import { findTool } from '../integration/tools.ts';
import { ConsoleCluster } from './console-cluster.ts';

const FOLDER = join(import.meta.dirname, '../../docs/console');

await freshPages();
const cluster = await ConsoleCluster.start();
const browser = await chromium.launch({ executablePath: findTool('chromium')!, args: ['--no-sandbox', '--disable-gpu'] });
try {
  for (const colorScheme of ['light', 'dark'] as const) {
    const page = await browser.newPage({ colorScheme, viewport: { width: 1160, height: 700 } });
    const picture = (name: string) => page.screenshot({ path: join(FOLDER, `${name}-${colorScheme}.png`), animations: 'disabled' });
    await page.goto(`http://localhost:${cluster.port}`);
    await picture('cluster-entry');
    await page.getByLabel('Bearer token').fill(await cluster.token('alice'));
    await page.getByRole('button', { name: 'Enter' }).click();
    await page.locator('.list-row', { hasText: 'IST0101' }).first().click();
    await page.locator('.details .message').waitFor();
    await picture('cluster');
    await page.close();
  }
} finally {
  await browser.close();
  await cluster.end();
}
