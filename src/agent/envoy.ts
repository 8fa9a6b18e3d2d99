/** The Envoy beside which the agent stands: a child with a bootstrap that leads to the agent for everything. */
import type { ChildProcess } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnEnvoy } from '../engine/envoy/process.ts';
import { SallyportError } from '../lib/errors.ts';
import { envoyBootstrap } from '../xds/envoy-bootstrap.ts';
import type { NodeJson } from '../xds/node.ts';

export interface EnvoyOptions {
  readonly binary: string;
  /** Of this process, for this user alone: the bootstrap and the sockets stand there. */
  readonly folder: string;
  /** Path of the agent's socket. */
  readonly xds: string;
  readonly node: NodeJson;
  /** Worker threads; 0 for as many as there are cores. */
  readonly concurrency: number;
  readonly logLevel: string;
  /** How long listeners drain, ms. */
  readonly drainMs: number;
}

const BOOTSTRAP = 'bootstrap.json';
/** Of its admin endpoint, in the folder. */
export const ADMIN_SOCKET = 'admin.sock';

export class EnvoyChild {
  /** Settles when it has ended without having been told to, with the reason. */
  readonly failed: Promise<Error>;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #closing = false;

  constructor({ binary, folder, xds, node, concurrency, logLevel, drainMs }: EnvoyOptions) {
    const bootstrap = envoyBootstrap({
      node,
      admin: { path: join(folder, ADMIN_SOCKET) },
      xds: { path: xds },
      protocol: 'delta',
      tls: undefined,
    });
    writeFileSync(join(folder, BOOTSTRAP), JSON.stringify(bootstrap));
    const argv = ['-c', join(folder, BOOTSTRAP), '--disable-hot-restart', '--log-level', logLevel];
    // As Istio's agent: whoever asks over a connection that is to end hears of it at once, and Envoy itself holds access log lines back for ten seconds.
    argv.push('--drain-time-s', String(Math.max(1, Math.ceil(drainMs / 1000))), '--drain-strategy', 'immediate');
    argv.push('--file-flush-interval-msec', '1000');
    if (concurrency > 0) argv.push('--concurrency', String(concurrency));
    const child = spawnEnvoy(binary, argv, process.env);
    this.#child = child;
    let fail: (error: Error) => void = () => {};
    this.failed = new Promise((resolve) => {
      fail = resolve;
    });
    this.#exited = new Promise((resolve) => {
      child.on('error', (cause) => {
        fail(new SallyportError('envoy-failed', `cannot run Envoy (${binary}): ${cause.message}`, { cause }));
        resolve();
      });
      child.on('exit', (code, signal) => {
        const how = code === null ? `was ended by ${signal}` : `ended with exit code ${code}`;
        if (!this.#closing) fail(new SallyportError('envoy-failed', `Envoy ${how}; what it wrote above says why.`));
        rmSync(join(folder, BOOTSTRAP), { force: true });
        resolve();
      });
    });
  }

  /** Resolves when it has ended. */
  end(): Promise<void> {
    this.#closing = true;
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGTERM');
    return this.#exited;
  }
}
