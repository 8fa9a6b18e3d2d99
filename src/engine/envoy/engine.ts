/** A stock Envoy as the engine: the same xDS as files that it watches, so that a translation is judged by Envoy itself. */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { AdminServer } from '../../admin/index.ts';
import { SallyportError } from '../../lib/errors.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import type { XdsResources, XdsUpdate } from '../../xds/resources.ts';
import type { Engine, Refusal } from '../contract.ts';
import { EnvoyAdmin } from './admin.ts';
import { createAdminFront } from './admin-front.ts';
import { ADMIN_SOCKET, BOOTSTRAP_FILE, CLUSTERS_FILE, envoyBootstrap, envoyFiles, isSecretFile, LISTENERS_FILE } from './files.ts';
import { claimFolder, clearLeftovers } from './leftovers.ts';
import { spawnEnvoy } from './process.ts';

export interface EnvoyEngineOptions {
  readonly binary: string;
  readonly proxy: ProxyIdentity;
  readonly admin: { readonly address: string; readonly port: number };
  /** Worker threads; 0 for as many as there are cores. */
  readonly concurrency: number;
  /** Envoy's own log level. */
  readonly logLevel: string;
}

/** How long a new configuration may take to come into force, e.g. until the names of new clusters are resolved. */
const IN_FORCE_MS = 15_000;

export class EnvoyEngine implements Engine {
  readonly name = 'envoy';
  readonly failed: Promise<Error>;
  readonly #options: EnvoyEngineOptions;
  readonly #folder: string;
  readonly #admin: EnvoyAdmin;
  readonly #written = new Map<string, string>();
  #front: AdminServer | undefined;
  #fail: (error: Error) => void = () => {};
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #closing = false;

  constructor(options: EnvoyEngineOptions) {
    this.#options = options;
    // Before anything asks for the ports that a leftover may hold.
    clearLeftovers(tmpdir());
    this.#folder = claimFolder(tmpdir());
    this.#admin = new EnvoyAdmin(join(this.#folder, ADMIN_SOCKET));
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
  }

  async apply(resources: XdsResources, update: XdsUpdate): Promise<readonly Refusal[]> {
    const { files, omitted } = envoyFiles(resources, update.version, this.#folder);
    const before = this.#child ? await this.#admin.updates() : undefined;
    for (const [path, content] of files) {
      if (path !== CLUSTERS_FILE && path !== LISTENERS_FILE) this.#write(path, content);
    }
    // Envoy takes the files in the order in which they are renamed: a listener finds its cluster.
    this.#write(CLUSTERS_FILE, files.get(CLUSTERS_FILE)!);
    this.#write(LISTENERS_FILE, files.get(LISTENERS_FILE)!);
    if (!before) await this.#start();
    const refused = await Promise.race([this.#admin.inForce(before, IN_FORCE_MS), this.failed.then((error) => Promise.reject(error))]);
    this.#removeUnused(files);
    return [...omitted, ...refused];
  }

  async reopenLogs(): Promise<void> {
    if (this.#child) await this.#admin.reopenLogs();
  }

  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    if (this.#child && this.#child.exitCode === null) {
      await this.#admin.drain(graceMs).catch(() => {});
      this.#child.kill('SIGTERM');
      await this.#exited;
    }
    await this.#front?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const { binary, proxy, admin, concurrency, logLevel } = this.#options;
    this.#front ??= await createAdminFront(join(this.#folder, ADMIN_SOCKET), admin);
    this.#write(BOOTSTRAP_FILE, envoyBootstrap({ folder: this.#folder, proxy }));
    const argv = [
      '-c',
      join(this.#folder, BOOTSTRAP_FILE),
      '--disable-hot-restart',
      '--log-level',
      logLevel,
      '--drain-time-s',
      '5',
      '--file-flush-interval-msec',
      '50',
    ];
    if (concurrency > 0) argv.push('--concurrency', String(concurrency));
    const child = spawnEnvoy(binary, argv);
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.on('error', (error) => {
        this.#fail(new SallyportError('envoy-failed', `cannot run Envoy (${binary}): ${error.message}`, { cause: error }));
        resolve();
      });
      child.on('exit', (code, signal) => {
        if (!this.#closing) {
          const how = code === null ? `was ended by ${signal}` : `ended with exit code ${code}`;
          this.#fail(new SallyportError('envoy-failed', `Envoy ${how}; what it wrote above says why.`));
        }
        resolve();
      });
    });
  }

  #write(path: string, content: string): void {
    if (this.#written.get(path) === content) return;
    const file = join(this.#folder, path);
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(`${file}.new`, content, { mode: isSecretFile(path) ? 0o600 : 0o644 });
    renameSync(`${file}.new`, file);
    this.#written.set(path, content);
  }

  #removeUnused(files: ReadonlyMap<string, string>): void {
    for (const path of this.#written.keys()) {
      if (files.has(path) || path === BOOTSTRAP_FILE) continue;
      rmSync(join(this.#folder, path), { force: true });
      this.#written.delete(path);
    }
  }
}
