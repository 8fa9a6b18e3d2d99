import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runTests } from './run.ts';

/** What a file of tests does on the tree as it is. */
export interface Reach {
  /** Why it is of no use, for it fails without a change. */
  readonly failure?: string;
  /** ms, with coverage. */
  readonly duration: number;
  /** Of each source file that it loads: from where to where it is run, sorted, as pairs of offsets one after the other. */
  readonly ranges: Readonly<Record<string, readonly number[]>>;
}

interface Covered {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly {
      readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number; readonly count: number }[];
    }[];
  }[];
}

/** Tests that take longer than this, ms, are not asked. */
const TIMEOUT_MS = 60_000;

/** What each test reaches, found by V8's coverage (type stripping moves nothing) and kept in `folder`, under the hash of `state`, until that changes. */
export class Reaches {
  private readonly root: string;
  private readonly folder: string;
  private readonly state: string;
  private readonly known = new Map<string, Reach>();

  constructor(root: string, folder: string, state: string) {
    this.root = root;
    this.folder = folder;
    this.state = state;
    mkdirSync(folder, { recursive: true });
  }

  /** Measured when it is first asked for, on a tree without a change. */
  async of(test: string): Promise<Reach> {
    const content = readFileSync(join(this.root, test));
    const name = createHash('sha256').update(this.state).update('\0').update(test).update('\0').update(content).digest('hex');
    const known = this.known.get(name);
    if (known !== undefined) return known;
    const file = join(this.folder, `${name}.json`);
    const reach = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Reach) : await this.measure(test);
    writeFileSync(file, JSON.stringify(reach));
    this.known.set(name, reach);
    return reach;
  }

  private async measure(test: string): Promise<Reach> {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-coverage-'));
    try {
      const started = performance.now();
      const failure = await runTests(this.root, [test], TIMEOUT_MS, { ...process.env, NODE_V8_COVERAGE: folder });
      const duration = Math.round(performance.now() - started);
      const reports = readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Covered);
      return { ...(failure === undefined ? {} : { failure }), duration, ranges: this.ranges(reports) };
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  private ranges(reports: readonly Covered[]): Record<string, number[]> {
    const base = `${pathToFileURL(join(this.root, 'src')).href}/`;
    const run = new Map<string, Uint8Array>();
    for (const { url, functions } of reports.flatMap(({ result }) => result)) {
      if (!url.startsWith(base) || url.includes('/src/xds/gen/') || url.endsWith('.test.ts')) continue;
      const ranges = functions.flatMap((each) => each.ranges).sort((a, b) => b.endOffset - b.startOffset - (a.endOffset - a.startOffset));
      // The inner of two says more: it is painted over the outer.
      const one = new Uint8Array(ranges[0]?.endOffset ?? 0);
      for (const { startOffset, endOffset, count } of ranges) one.fill(count > 0 ? 1 : 0, startOffset, endOffset);
      const all = run.get(url);
      if (all === undefined) run.set(url, one);
      else for (const [index, value] of one.entries()) all[index] ||= value;
    }
    return Object.fromEntries([...run].map(([url, bytes]) => [`src/${url.slice(base.length)}`, pairs(bytes)]));
  }
}

/** Whether the place at `offset` of `file` is run. */
export function reaches({ ranges }: Reach, file: string, offset: number): boolean {
  const list = ranges[file] ?? [];
  return list.some((start, index) => index % 2 === 0 && start <= offset && offset < list[index + 1]!);
}

function pairs(bytes: Uint8Array): number[] {
  const ends: number[] = [];
  for (let at = 0; at <= bytes.length; at++) if ((bytes[at] ?? 0) !== (bytes[at - 1] ?? 0)) ends.push(at);
  return ends;
}
