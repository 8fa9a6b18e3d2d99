/** A stock Envoy as the engine: a child process that has the same xDS over ADS, as the Envoys of a fleet have it. */
import type { ChildProcess } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AdminServer } from '../../admin/index.ts';
import { SallyportError } from '../../lib/errors.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import { envoyBootstrap } from '../../xds/envoy-bootstrap.ts';
import { nodeJson } from '../../xds/node.ts';
import type { XdsResources } from '../../xds/resources.ts';
import { encodeSet } from '../../xds/update.ts';
import type { Engine, EngineHost, Refusal } from '../contract.ts';
import { proxyFlows } from '../proxy-flows.ts';
import { EnvoyAdmin } from './admin.ts';
import { createAdminFront } from './admin-front.ts';
import { Feed } from './feed.ts';
import { accessLogService, envoyFlows, LAST_ENTRIES_MS, TOO_OLD_TO_TELL } from './flows/service.ts';
import type { EnvoyFlows } from './flows/source.ts';
import { claimFolder, clearLeftovers } from './leftovers.ts';
import { forEnvoy } from './listeners.ts';
import { spawnEnvoy } from './process.ts';

export interface EnvoyEngineOptions {
  readonly binary: string;
  readonly proxy: ProxyIdentity;
  readonly admin: { readonly address: string; readonly port: number };
  /** Worker threads; 0 for as many as there are cores. */
  readonly concurrency: number;
  /** Envoy's own log level. */
  readonly logLevel: string;
  readonly host: EngineHost;
}

/** Names in the folder of an engine. */
const ADMIN_SOCKET = 'admin.sock';
const XDS_SOCKET = 'xds.sock';
/** How long a new configuration may take to come into force, e.g. until the names of new clusters are resolved. */
const IN_FORCE_MS = 15_000;

export class EnvoyEngine implements Engine {
  readonly name = 'envoy';
  readonly failed: Promise<Error>;
  readonly #options: EnvoyEngineOptions;
  readonly #folder: string;
  readonly #admin: EnvoyAdmin;
  readonly #flows: EnvoyFlows;
  readonly #unwatch: (() => void) | undefined;
  readonly #feed: Feed;
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
    const { proxy, host } = options;
    this.#flows = envoyFlows(proxy, this.#admin);
    this.#unwatch = host.flows?.register(proxy, this.#flows);
    this.#feed = new Feed({ more: accessLogService(this.#flows), silent: () => host.log('warn', TOO_OLD_TO_TELL) });
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
  }

  async apply(resources: XdsResources): Promise<readonly Refusal[]> {
    const { resources: served, omitted } = forEnvoy(resources);
    this.#feed.serve(encodeSet(served));
    if (!this.#child) await this.#start();
    const failed = this.failed.then((error) => Promise.reject(error));
    const late = await Promise.race([this.#admin.inForce(() => this.#feed.isSettled, IN_FORCE_MS), failed]);
    await this.#flows.follow();
    return [...omitted, ...this.#feed.refusals, ...late];
  }

  async reopenLogs(): Promise<void> {
    if (this.#child) await this.#admin.reopenLogs();
  }

  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    if (this.#child && this.#child.exitCode === null) {
      await this.#admin.drain(graceMs).catch(() => {});
      await this.#flows.complete(LAST_ENTRIES_MS);
      this.#child.kill('SIGTERM');
      await this.#exited;
    }
    this.#unwatch?.();
    this.#flows.close();
    await this.#front?.close();
    await this.#feed.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const { binary, proxy, admin, concurrency, logLevel, host } = this.#options;
    const node = nodeJson(proxy);
    this.#front ??= await createAdminFront(this.#admin.socketPath, admin, { flows: proxyFlows(proxy, host.flows), node: node.metadata });
    await this.#feed.listen(join(this.#folder, XDS_SOCKET));
    const bootstrap = envoyBootstrap({
      node,
      admin: { path: this.#admin.socketPath },
      xds: { path: join(this.#folder, XDS_SOCKET) },
      protocol: 'delta',
      tls: undefined,
    });
    const file = join(this.#folder, 'bootstrap.json');
    writeFileSync(file, JSON.stringify(bootstrap, undefined, 1));
    const argv = ['-c', file, '--disable-hot-restart', '--log-level', logLevel, '--file-flush-interval-msec', '50'];
    argv.push('--drain-time-s', '5', '--drain-strategy', 'immediate');
    if (concurrency > 0) argv.push('--concurrency', String(concurrency));
    const child = spawnEnvoy(binary, argv, host.environment);
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
}
