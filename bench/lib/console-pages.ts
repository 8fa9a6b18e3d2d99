/** The console's pages in Chromium, over calls that the tests' flow source tells. */
import { gzipSync } from 'node:zlib';
import { chromium, type Page } from 'playwright-core';
import { readShown } from '../../src/console/read.ts';
import { startConsole } from '../../src/console/server.ts';
import { FlowHub } from '../../src/flows/hub.ts';
import { TestSource } from '../../src/flows/testing.ts';
import { findTool } from '../../test/integration/tools.ts';
import { hostOf } from './egress-config.ts';

export interface View {
  readonly name: string;
  /** Whether what the view asks the server had come before it was measured. */
  readonly isAnswered: boolean;
  readonly frames: number;
  /** Times between frames, ms: of a half at most, of 99 of 100, of all. */
  readonly half: number;
  readonly most: number;
  readonly last: number;
  /** Part of the time in tasks of more than 50 ms. */
  readonly blocked: number;
}

export interface PagesLoad {
  readonly folder: string;
  readonly hosts: number;
  /** Calls a second. */
  readonly rate: number;
  /** Of each view. */
  readonly seconds: number;
}

export interface PagesFigures {
  /** Of what the first view loads. */
  readonly kilobytes: number;
  readonly usableMs: number;
  readonly views: readonly View[];
}

const VIEWS = ['flows', 'flows?filter=verdict:refused', 'refused', 'configuration', 'findings', 'way-out'];
/** For what a view asks, ms. */
const ANSWER_MS = 40_000;
/** Between batches of calls, ms. */
const EVERY_MS = 20;

export async function framesOf({ folder, hosts, rate, seconds }: PagesLoad): Promise<PagesFigures> {
  const flows = new FlowHub();
  const source = new TestSource();
  flows.register({ type: 'sidecar', namespace: 'default', name: 'local', addresses: [] }, source);
  const read = await readShown([folder], {}, async () => undefined);
  let address = '';
  const enter = (url: string) => {
    address = url;
  };
  const served = await startConsole({ at: { address: '127.0.0.1', port: 0 }, shown: { ...read, kind: 'up', flows }, enter });
  const load = setInterval(() => tell(source, hosts, (rate * EVERY_MS) / 1000), EVERY_MS);
  const browser = await chromium.launch({ executablePath: findTool('chromium')!, args: ['--no-sandbox', '--disable-gpu'] });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    let bytes = 0;
    const sizes: Promise<void>[] = [];
    page.on('response', (response) => {
      if (/\.(?:js|css|svg)$|\/$/.test(new URL(response.url()).pathname) && response.status() === 200)
        sizes.push(
          response.body().then((body) => {
            bytes += gzipSync(body).length;
          }),
        );
    });
    const began = performance.now();
    await page.goto(address);
    await page.locator('.list-row').first().waitFor();
    const usableMs = performance.now() - began;
    await Promise.all(sizes);
    const kilobytes = bytes / 1000;
    const views: View[] = [];
    for (const name of VIEWS) {
      await page.goto(`${new URL(address).origin}/#/${name}`);
      const isAnswered = await page
        .locator('.asking')
        .waitFor({ state: 'detached', timeout: ANSWER_MS })
        .then(
          () => true,
          () => false,
        );
      views.push({ name, isAnswered, ...(await measured(page, seconds * 1000)) });
    }
    return { kilobytes, usableMs, views };
  } finally {
    clearInterval(load);
    await browser.close();
    await served.close();
  }
}

let calls = 0;

function tell(source: TestSource, hosts: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const at = calls++;
    const id = String(at);
    const call = { id, time: new Date().toISOString(), host: hostOf((at * 7919) % hosts), port: 443 };
    source.tell({ ...call, kind: 'begin' });
    source.tell({ ...call, kind: 'end', ...(at % 10 === 0 && { verdict: 'refused', reason: 'no route allows it' }) });
  }
}

/** Frames and long tasks of the next so many ms. */
async function measured(page: Page, ms: number): Promise<Omit<View, 'name' | 'isAnswered'>> {
  const { frames, busy } = await page
    .evaluate(MEASURE.replace('MS', String(ms)))
    .then((value) => value as { frames: number[]; busy: number });
  const sorted = frames.sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  return { frames: sorted.length, half: at(0.5), most: at(0.99), last: at(1), blocked: busy / ms };
}

/** In the page. */
const MEASURE = `new Promise((resolve) => {
  const frames = [];
  let busy = 0;
  const observer = new PerformanceObserver((list) => { for (const { duration } of list.getEntries()) busy += duration; });
  observer.observe({ type: 'longtask' });
  const began = performance.now();
  let last = began;
  const frame = (now) => {
    frames.push(now - last);
    last = now;
    if (performance.now() - began < MS) requestAnimationFrame(frame);
    else { observer.disconnect(); resolve({ frames: frames.slice(1), busy }); }
  };
  requestAnimationFrame(frame);
})`;
