/** Credentials that a program hands out: `users[].user.exec` of a kubeconfig (KEP-541, `client.authentication.k8s.io`). */
import { spawn } from 'node:child_process';
import { dirname, isAbsolute, join } from 'node:path';
import { isMapping } from '../../api/decode.ts';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import { printable } from '../../lib/printable.ts';
import type { Credentials, Presented } from './access.ts';
import type { Section } from './kubeconfig.ts';
import { bearer, redactedText } from './static-credentials.ts';

const VERSIONS: ReadonlySet<string> = new Set(['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1']);

/** Renewed so long before they expire, ms, that no request is on its way with old ones. */
const BEFORE_EXPIRY_MS = 10_000;

/** More than any credential has. */
const MOST_OUTPUT = 4 * 1024 * 1024;

export interface ExecEnvironment {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Whether somebody sits at standard input. */
  readonly interactive: boolean;
  /** ms since the epoch. */
  readonly now: () => number;
}

interface Kept {
  readonly presented: Presented;
  /** ms since the epoch; infinite where it does not expire. */
  readonly until: number;
}

export class ExecCredentials implements Credentials {
  readonly #section: Section;
  readonly #version: string;
  readonly #command: string;
  readonly #cluster: Readonly<Record<string, unknown>>;
  readonly #host: ExecEnvironment;
  #kept: Kept | undefined;
  #asking: Promise<Kept> | undefined;

  /**
   * @param section `exec` @param cluster what a program that asks for it (`provideClusterInfo`) is told
   * @throws SallyportError `kubeconfig-invalid`
   */
  constructor(section: Section, cluster: Readonly<Record<string, unknown>>, host: ExecEnvironment) {
    const command = section.text('command');
    if (command === undefined) throw section.invalid('names no command');
    const version = section.text('apiVersion') ?? '';
    if (!VERSIONS.has(version)) throw section.invalid(`apiVersion "${version}" is none of ${[...VERSIONS].join(', ')}`);
    if (section.text('interactiveMode') === 'Always' && !host.interactive)
      throw section.invalid(`${command} asks questions (interactiveMode: Always), and standard input is no terminal`);
    this.#section = section;
    this.#version = version;
    this.#command = command.includes('/') && !isAbsolute(command) ? join(dirname(section.file), command) : command;
    this.#cluster = cluster;
    this.#host = host;
  }

  async present(): Promise<Presented> {
    if (this.#kept && this.#kept.until - BEFORE_EXPIRY_MS > this.#host.now()) return this.#kept.presented;
    // One program for all who wait.
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    this.#kept = await this.#asking;
    return this.#kept.presented;
  }

  renew(): boolean {
    const kept = this.#kept;
    this.#kept = undefined;
    return kept !== undefined;
  }

  async #ask(): Promise<Kept> {
    const text = await this.#run();
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch {
      throw this.#failed('printed no JSON');
    }
    if (!isMapping(answer) || answer.kind !== 'ExecCredential') throw this.#failed('printed no ExecCredential');
    if (answer.apiVersion !== this.#version)
      throw this.#failed(`answered in ${printable(String(answer.apiVersion))}, and was asked for ${this.#version}`);
    const status = isMapping(answer.status) ? answer.status : {};
    const { token, clientCertificateData: certificate, clientKeyData: key, expirationTimestamp } = status;
    const hasToken = typeof token === 'string' && token !== '';
    const hasCertificate = typeof certificate === 'string' && typeof key === 'string' && certificate !== '' && key !== '';
    if (!hasToken && !hasCertificate) throw this.#failed('handed out neither a token nor a certificate with its key');
    const expires = typeof expirationTimestamp === 'string' ? Date.parse(expirationTimestamp) : Number.POSITIVE_INFINITY;
    if (Number.isNaN(expires)) throw this.#failed('gave an expirationTimestamp that is no time');
    return {
      presented: {
        ...(hasToken && { authorization: bearer(token) }),
        ...(hasCertificate && { certificate: { certificate, key: redactedText(key) } }),
      },
      until: expires,
    };
  }

  #run(): Promise<string> {
    const spec = {
      interactive: this.#host.interactive && this.#section.text('interactiveMode') !== 'Never',
      ...(this.#section.flag('provideClusterInfo') && { cluster: this.#cluster }),
    };
    const info = JSON.stringify({ kind: 'ExecCredential', apiVersion: this.#version, spec });
    const own = Object.fromEntries(this.#section.sections('env').map((each) => [each.text('name') ?? '', each.text('value') ?? '']));
    const child = spawn(this.#command, [...this.#section.texts('args')], {
      env: { ...this.#host.environment, ...own, KUBERNETES_EXEC_INFO: info },
      stdio: [spec.interactive ? 'inherit' : 'ignore', 'pipe', 'inherit'],
    });
    const parts: Buffer[] = [];
    let size = 0;
    return new Promise((resolve, reject) => {
      child.stdout!.on('data', (part: Buffer) => {
        size += part.length;
        if (size > MOST_OUTPUT) child.kill('SIGKILL');
        else parts.push(part);
      });
      child.on('error', (cause) => reject(this.#failed(`can't be run: ${messageOf(cause)}${this.#hint()}`, cause)));
      child.on('close', (code, signal) => {
        if (code === 0) resolve(Buffer.concat(parts).toString('utf8'));
        else reject(this.#failed(`ended with ${signal ?? code}`));
      });
    });
  }

  #hint(): string {
    const hint = this.#section.text('installHint');
    return hint === undefined ? '' : `. ${printable(hint)}`;
  }

  #failed(what: string, cause?: unknown): SallyportError {
    return new SallyportError('cluster-credentials', `${this.#section.file}: ${this.#section.title}: ${this.#command} ${what}`, { cause });
  }
}
