/** The outside of contained commands: servers with names and ports as they are in the world, on a loopback network of the test's own, and the name server that knows them. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { decode, encode, RECURSION_DESIRED } from 'dns-packet';
import { runSandboxed, type Sandboxed, type SandboxedResult, sandboxNeeds } from '../../attacks/sandbox-support.ts';
import { makeCertificate } from '../outside.ts';
import { needs } from '../tools.ts';

/** Who runs the commands. */
const NOBODY = 65534;
const NAME_ERROR = 3;

/** Why a test of real work cannot run, or false; in CI it throws. Root is needed for the ports and the name server outside; the commands run as nobody. */
export function workNeeds(...tools: readonly string[]): string | false {
  return sandboxNeeds('nobody') || needs('root', 'openssl', ...tools);
}

export interface Call {
  readonly host: string;
  readonly port: number;
  readonly verdict: string;
  readonly count: number;
}

export interface Worked extends SandboxedResult {
  /** `HOST:PORT VERDICT` of all that the run says was called, sorted. */
  readonly calls: readonly string[];
}

export class Outside {
  readonly #t: TestContext;
  /** The first three octets. */
  readonly #network: string;
  readonly #addresses = new Map<string, string>();
  /** The command's home, and its working files; gone with the test. */
  readonly home: string;
  /** Names that the name server was asked for. */
  readonly asked = new Set<string>();
  #resolvConf = '';

  static async start(t: TestContext): Promise<Outside> {
    const outside = new Outside(t);
    await outside.#answerNames();
    return outside;
  }

  private constructor(t: TestContext) {
    this.#t = t;
    this.#network = `127.${130 + ((process.pid >> 8) & 63)}.${process.pid & 255}`;
    this.home = mkdtempSync(join(tmpdir(), 'sallyport-work-'));
    chownSync(this.home, NOBODY, NOBODY);
    t.after(() => rmSync(this.home, { recursive: true, force: true }));
  }

  /** The range that leads to it, as `--allow HOST=RANGE` names it. */
  get range(): string {
    return `${this.#network}.0/24`;
  }

  /** Gives a name an address, at which whoever asks may listen. */
  address(name: string): string {
    const known = this.#addresses.get(name);
    if (known !== undefined) return known;
    const address = `${this.#network}.${this.#addresses.size + 1}`;
    this.#addresses.set(name, address);
    return address;
  }

  /** Listens under the name until the test ends. */
  async listen(server: Server, name: string, port: number): Promise<void> {
    server.listen(port, this.address(name));
    await once(server, 'listening');
    this.#t.after(() => {
      server.close();
      if ('closeAllConnections' in server) (server.closeAllConnections as () => void)();
    });
  }

  async http(name: string, listener: RequestListener, port = 80): Promise<void> {
    await this.listen(createServer(listener), name, port);
  }

  /** Resolves with the file that holds the authority of its certificate. */
  async https(name: string, listener: RequestListener): Promise<string> {
    const certificate = makeCertificate(name);
    const file = this.file(`${name}.pem`, certificate.cert);
    await this.listen(createSecureServer({ ...certificate }, listener), name, 443);
    return file;
  }

  /** A file in the command's home that it can read. */
  file(name: string, content: string | Buffer): string {
    const path = join(this.home, name);
    writeFileSync(path, content);
    chownSync(path, NOBODY, NOBODY);
    return path;
  }

  /** `sallyport run` of a shell's script in the command's home, as nobody. @param allowed as for `--allow`, without ranges */
  async run(script: string, allowed: readonly string[], given: Sandboxed = {}): Promise<Worked> {
    const report = join(this.home, 'report.json');
    rmSync(report, { force: true });
    const options = ['--report', report, ...allowed.flatMap((host) => ['--allow', `${host}=${this.range}`])];
    const result = await runSandboxed(this.#t, 'nobody', ['sh', '-ec', `cd ${this.home}\n${script}`], {
      ...given,
      resolvConf: this.#resolvConf,
      options: [...options, ...(given.options ?? [])],
      environment: { HOME: this.home, ...given.environment },
    });
    const { calls } = JSON.parse(readFileSync(report, 'utf8')) as { calls: readonly Call[] };
    return { ...result, calls: calls.map(({ host, port, verdict }) => `${host}:${port} ${verdict}`).sort() };
  }

  async #answerNames(): Promise<void> {
    const server = createSocket('udp4');
    server.on('message', (message, from) => {
      const { id = 0, questions = [] } = decode(message);
      const [question] = questions;
      const name = question?.name.toLowerCase() ?? '';
      this.asked.add(name);
      const data = this.#addresses.get(name);
      const answers = data !== undefined && question?.type === 'A' ? [{ type: 'A' as const, name, ttl: 60, data }] : [];
      const flags = RECURSION_DESIRED | (data === undefined ? NAME_ERROR : 0);
      server.send(encode({ type: 'response', id, flags, questions, answers }), from.port, from.address);
    });
    const address = `${this.#network}.253`;
    server.bind(53, address);
    await once(server, 'listening');
    this.#t.after(() => server.close());
    this.#resolvConf = join(this.home, 'resolv.conf');
    writeFileSync(this.#resolvConf, `nameserver ${address}\n`);
    chmodSync(this.#resolvConf, 0o644);
  }
}

/** Words that run the rest without what names the proxy: then the kernel alone leads its calls to it. */
export const UNPROXIED = 'env -u HTTP_PROXY -u HTTPS_PROXY -u ALL_PROXY -u http_proxy -u https_proxy -u all_proxy -u NODE_USE_ENV_PROXY';
