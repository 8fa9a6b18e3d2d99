/** A mesh that runs, its console, and a real browser that looks at it. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
// biome-ignore lint/suspicious/noTsIgnore: the build's scripts have no types.
// @ts-ignore
import { buildPages } from '../../scripts/pages.mjs';
import { freePort, Program } from '../integration/cli/program.ts';
import { findTool, needs } from '../integration/tools.ts';
import { hostHere, REGISTRY_ONLY, throughEgress } from '../support/egress-text.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGES = join(ROOT, 'dist/ui');

export const skip =
  needs('chromium', 'curl') || (process.platform === 'linux' ? false : 'routers need the addresses of 127.0.0.0/8, which Linux has');

/** A server outside, and what may be called: one host by the gateway, one past it. */
export function mesh(port: number): string {
  return `${REGISTRY_ONLY}${hostHere('www', 'www.example.com', port)}${throughEgress('www.example.com')}${hostHere('leak', 'leak.example.com', port)}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: mistaken, namespace: default }
spec:
  hosts: [leak.example.com]
  gateways: [no-such-gateway]
  http:
  - route: [{ destination: { host: leak.example.com } }]
`;
}

let worlds = 0;

export class World {
  readonly folder: string;
  readonly serverPort: number;
  readonly program: Program;
  readonly browser: Browser;
  readonly #proxy: number;
  readonly #end: (() => unknown)[];

  private constructor(folder: string, serverPort: number, program: Program, browser: Browser, proxy: number, end: (() => unknown)[]) {
    this.folder = folder;
    this.serverPort = serverPort;
    this.program = program;
    this.browser = browser;
    this.#proxy = proxy;
    this.#end = end;
  }

  /** @param files beside those of the mesh, by their names @param more arguments of `up` */
  static async start(files: Readonly<Record<string, string>> = {}, more: readonly string[] = []): Promise<World> {
    await freshPages();
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-console-'));
    const server = createServer((_, answer) => answer.end('outside\n')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    for (const [name, text] of Object.entries({ 'mesh.yaml': mesh(port), ...files })) writeFileSync(join(folder, name), text);
    const [proxy, console] = [await freePort(), await freePort()];
    const none = ['--capture-port', '0', '--dns-address', '0', '--admin-address', '0', '--status-address', '0'];
    // Worlds stand beside each other.
    const router = `127.${60 + worlds++}.${process.pid % 250}.1`;
    const args = [
      'up',
      folder,
      '--proxy-address',
      String(proxy),
      '--console',
      `127.0.0.1:${console}`,
      '--router-address',
      router,
      ...none,
      ...more,
    ];
    const program = new Program(args);
    const end: (() => unknown)[] = [() => program.end(), () => server.close(), () => rmSync(folder, { recursive: true, force: true })];
    try {
      await program.says(/console: http/);
      const browser = await chromium.launch({ executablePath: findTool('chromium')!, args: ['--no-sandbox', '--disable-gpu'] });
      return new World(folder, port, program, browser, proxy, [() => browser.close(), ...end]);
    } catch (error) {
      for (const each of end) await each();
      throw error;
    }
  }

  async end(): Promise<void> {
    for (const end of this.#end) await end();
  }

  /** The address that lets a browser in. */
  get address(): string {
    return [...this.program.errors.matchAll(/console: (http\S+)/g)].at(-1)![1]!;
  }

  /** A page that was let in, and what it must not do: load from elsewhere, break its policy, fail. */
  async open(options: Parameters<Browser['newContext']>[0] = {}): Promise<Opened> {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    const { address } = this;
    const { origin } = new URL(address);
    const problems: string[] = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) problems.push(message.text());
    });
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('dialog', (dialog) => {
      problems.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith('blob:')) problems.push(`a request to ${request.url()}`);
    });
    await page.goto(address);
    await page.locator('main h1').waitFor();
    // The stream of calls begins with the first console.
    await page.locator('.nav-foot .mono').waitFor();
    return { page, context, problems, show: (hash) => page.goto(`${origin}/#/${hash}`).then(() => undefined) };
  }

  /** Calls by the explicit proxy. Returns the status. */
  async call(url: string, ...more: readonly string[]): Promise<string> {
    const args = ['-s', '--max-time', '20', '-o', '/dev/null', '-w', '%{http_code}', '-x', `http://127.0.0.1:${this.#proxy}`, ...more, url];
    const { stdout } = await promisify(execFile)('curl', args).catch((error: { stdout: string }) => error);
    return stdout;
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }
}

export interface Opened {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly problems: readonly string[];
  /** Leads to a view. */
  show(hash: string): Promise<void>;
}

/** The pages of the build, built anew where a source is newer. */
export async function freshPages(): Promise<void> {
  const built = join(PAGES, 'main.js');
  const newest = Math.max(...globSync('ui/**/*.*', { cwd: ROOT }).map((file) => statSync(join(ROOT, file)).mtimeMs));
  if (!existsSync(built) || statSync(built).mtimeMs < newest) await buildPages(PAGES);
}
