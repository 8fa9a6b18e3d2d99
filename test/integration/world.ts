/** `sallyport up` in a world of the test's making: real client programs on one side, real servers on the other. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { stringify } from 'yaml';

export interface WorldOptions {
  /** Resources, by the name of their file. */
  readonly files: Readonly<Record<string, string>>;
  /** MeshConfig beyond the access log. */
  readonly mesh?: object;
  /** Addresses of names of the outside. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** `address:port` of the outside, and the port of 127.0.0.1 where its server really is. */
  readonly servers?: Readonly<Record<string, number>>;
  /** Further arguments of `up`. */
  readonly args?: readonly string[];
}

export interface LogLine {
  readonly cluster: string;
  readonly code: number;
  readonly flags: string;
  readonly authority: string;
}

let count = 0;

export class World {
  readonly folder: string;
  readonly #child: ChildProcess;
  readonly #said = new EventEmitter();
  #output = '';
  #errors = '';
  /** Address of the sidecar: explicit proxy on 15080, captured traffic on 15001. */
  readonly sidecar: string;
  /** Address of the first router. */
  readonly router: string;

  /** Starts it and resolves when it is ready; it ends with the test. */
  static async start(t: TestContext, options: WorldOptions): Promise<World> {
    const world = new World(options);
    t.after(() => world.#end());
    await world.says(/ready: use the proxy/);
    return world;
  }

  private constructor({ files, mesh = {}, hosts = {}, servers = {}, args = [] }: WorldOptions) {
    const base = mkdtempSync(join(tmpdir(), 'sallyport-world-'));
    this.folder = join(base, 'mesh');
    mkdirSync(this.folder);
    count += 1;
    const network = `127.${20 + (process.pid % 220)}.${count}`;
    this.sidecar = `${network}.1`;
    this.router = `${network}.101`;
    const format = {
      cluster: '%UPSTREAM_CLUSTER_RAW%',
      code: '%RESPONSE_CODE%',
      flags: '%RESPONSE_FLAGS%',
      authority: '%REQ(:AUTHORITY)%',
    };
    const config = { accessLogFile: '/dev/stdout', accessLogEncoding: 'JSON', accessLogFormat: JSON.stringify(format), ...mesh };
    writeFileSync(join(base, 'mesh.yaml'), stringify(config));
    writeFileSync(
      join(base, 'hosts'),
      Object.entries(hosts)
        .map(([name, ip]) => `${ip} ${name}\n`)
        .join(''),
    );
    for (const [name, text] of Object.entries(files)) this.write(name, text);
    const settings = JSON.stringify({ loopback: this.sidecar, hosts: join(base, 'hosts'), servers });
    const program = ['--import', join(import.meta.dirname, 'world-preload.ts'), join(import.meta.dirname, 'sallyport.ts')];
    const addresses = ['--router-address', this.router, '--admin-address', '0', '--dns-address', '0'];
    this.#child = spawn(
      process.execPath,
      [...program, 'up', this.folder, '--mesh-config', join(base, 'mesh.yaml'), ...addresses, ...args],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, NO_COLOR: '1', SALLYPORT_TEST_WORLD: settings },
      },
    );
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
      this.#said.emit('more');
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
      this.#said.emit('more');
    });
    this.#child.on('exit', () => this.#said.emit('more'));
  }

  get proxyUrl(): string {
    return `http://${this.sidecar}:15080`;
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  /** Has it read its files again; resolves when what they say is in force. */
  async reload(): Promise<void> {
    const answer = await fetch(`http://${this.sidecar}:15021/reload`, { method: 'POST' });
    if (answer.status !== 200) throw new Error(`reload: ${answer.status} ${await answer.text()}`);
  }

  /** Waits until what it wrote on stderr has this; rejects if it ends before. */
  async says(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.#errors);
      if (found) return found[0];
      await this.#more(`saying ${pattern}`);
    }
  }

  /** Ends it as a user does; returns its exit code and what it wrote on stdout, access log included. */
  async stop(): Promise<{ readonly code: number | null; readonly output: string }> {
    this.#child.kill('SIGTERM');
    await once(this.#child, 'close');
    return { code: this.#child.exitCode, output: this.#output };
  }

  /** What it wrote on stderr so far. */
  get errors(): string {
    return this.#errors;
  }

  /** Resolves with the access log once it has as many lines. */
  async log(lines: number): Promise<LogLine[]> {
    for (;;) {
      const found = this.#output
        .split('\n')
        .slice(0, -1)
        .filter((line) => line.startsWith('{'));
      if (found.length >= lines) return found.map((line) => JSON.parse(line) as LogLine);
      await this.#more(`logging ${lines} lines (${found.length} so far)`);
    }
  }

  async #more(what: string): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) throw new Error(`it ended before ${what}: ${this.#errors}`);
    await once(this.#said, 'more');
  }

  async #end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL');
      await once(this.#child, 'exit');
    }
    rmSync(join(this.folder, '..'), { recursive: true, force: true });
  }
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a client program; its exit code is a result and no error. Ends it after half a minute. */
export function run(command: string, args: readonly string[], input = ''): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { timeout: 30_000 }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ code: error ? (error.code as number) : 0, stdout, stderr });
    });
    // A program need not read what it is given.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}
