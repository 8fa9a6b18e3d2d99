/**
 * `npm run bench -- console [--hosts 10000] [--rate 1000] [--seconds 10] [--only pages|traffic|telling]`: what the console costs. `pages`: in Chromium, over so many
 * declared hosts and so many calls a second (told by the tests' flow source), the size of the first view, the time until it can be used, and the times of frames
 * of each view. `traffic`: CPU time a request of the threads that carry traffic in `up`, with no console and with a hundred, in turns. `telling`: what of it those threads do themselves.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { framesOf, type View } from './lib/console-pages.ts';
import { costOfTelling } from './lib/console-telling.ts';
import { costOfConsoles } from './lib/console-traffic.ts';
import { egressConfig } from './lib/egress-config.ts';

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '10000' },
    rate: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '10' },
    only: { type: 'string', default: '' },
  },
});
const [hosts, rate, seconds] = [Number(values.hosts), Number(values.rate), Number(values.seconds)];

const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-console-'));
try {
  const isWanted = (part: string) => values.only === '' || values.only === part;
  if (isWanted('pages')) await pages();
  if (isWanted('telling'))
    console.log(`telling consoles of 10,000 calls a second: ${(await costOfTelling()).toFixed(2)} µs a call of the thread's own`);
  if (isWanted('traffic')) await traffic();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function pages(): Promise<void> {
  writeFileSync(join(folder, 'mesh.yaml'), egressConfig(hosts).join('---\n'));
  const { kilobytes, usableMs, views } = await framesOf({ folder, hosts, rate, seconds });
  console.log(`first view: ${kilobytes.toFixed(0)} kB gzipped, usable after ${usableMs.toFixed(0)} ms`);
  for (const view of views) console.log(viewText(view));
}

function viewText({ name, isAnswered, frames, half, most, last, blocked }: View): string {
  const ms = (value: number) => `${value.toFixed(0)} ms`;
  return `${name}${isAnswered ? '' : ' (still waiting for its answer)'}: ${frames} frames, median ${ms(half)}, 99 % within ${ms(most)}, longest ${ms(last)}; the page's thread was busy ${(blocked * 100).toFixed(0)} % in tasks of more than 50 ms`;
}

async function traffic(): Promise<void> {
  const { rates, without, watched, alike, main } = await costOfConsoles(folder, seconds);
  const percent = (ratio: number) => `${((ratio - 1) * 100).toFixed(1)} %`;
  console.log(`${Math.round(rates[0])} and ${Math.round(rates[1])} calls a second`);
  console.log(
    `threads that carry traffic, on a core of their own: ${without.toFixed(1)} µs a request without a console, ${watched.toFixed(1)} with 100: ${percent(watched / without)} more; while neither was watched these two differed by ${percent(alike)}: ${percent(watched / without / alike)} by the consoles`,
  );
  console.log(`main thread with 100 consoles: ${(main * 100).toFixed(0)} % of a core`);
}
