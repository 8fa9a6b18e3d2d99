/** For tests: a console over some resources, and a browser's requests to it. */
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startConsole } from './server.ts';
import type { Shown } from './subject.ts';
import type { Visitors } from './visitors.ts';

export interface Answered {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

export interface Asking {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string;
}

export class TestConsole {
  readonly port: number;
  /** The addresses that were announced, the newest last. */
  readonly addresses: string[];
  readonly changed: () => void;
  #cookie = '';

  constructor(port: number, addresses: string[], changed: () => void) {
    this.port = port;
    this.addresses = addresses;
    this.changed = changed;
  }

  get token(): string {
    return new URL(this.addresses.at(-1)!).searchParams.get('token')!;
  }

  /** Takes the token for a cookie, which requests have from then on. */
  async enter(): Promise<void> {
    const { headers } = await this.ask(`/?token=${this.token}`);
    this.#cookie = headers['set-cookie']![0]!.split(';')[0]!;
  }

  /** The path goes out as it is. */
  open(path: string, { method = 'GET', headers = {}, body }: Asking = {}): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const cookie = this.#cookie === '' ? {} : { cookie: this.#cookie };
      const asked = httpRequest(
        { host: '127.0.0.1', port: this.port, path, method, agent: false, headers: { ...cookie, ...headers } },
        resolve,
      );
      asked.on('error', reject);
      asked.end(body);
    });
  }

  async ask(path: string, asking: Asking = {}): Promise<Answered> {
    const answer = await this.open(path, asking);
    return { status: answer.statusCode!, headers: answer.headers, text: await textOf(answer) };
  }

  async json(path: string, asking: Asking = {}): Promise<unknown> {
    const { status, text } = await this.ask(path, asking);
    if (status !== 200) throw new Error(`${path} answered ${status}: ${text}`);
    return JSON.parse(text);
  }
}

/** Pages that stand for those of the build. */
const PAGES = fileURLToPath(new URL('../../ui', import.meta.url));

/** @param visitors people who are told apart */
export async function testConsole(t: TestContext, shown: Shown, pages = PAGES, visitors?: Visitors): Promise<TestConsole> {
  const addresses: string[] = [];
  const served = await startConsole({
    at: { address: '127.0.0.1', port: 0 },
    shown,
    enter: (address) => void addresses.push(address),
    pages,
    ...(visitors && { visitors }),
  });
  t.after(() => served.close());
  return new TestConsole(served.port, addresses, served.changed);
}
