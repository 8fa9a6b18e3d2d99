// Runs in the sandbox: a browser (the first argument, with those from the third on) opens a page (the second), and its text is printed once the page says it is done.
import { chromium } from 'playwright-core';

const [executablePath, url, ...args] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ['--disable-gpu', '--disable-dev-shm-usage', ...args] });
try {
  const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
  await page.goto(url);
  await page.locator('#done').waitFor();
  console.log(await page.locator('body').innerText());
} finally {
  await browser.close();
}
