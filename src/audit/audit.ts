/** The audit of a process: started before anything is let through, ended after the last call. */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { proxyName } from '../flows/hub.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { productVersion } from '../lib/version.ts';
import type { XdsAck, XdsUpdate } from '../xds/resources.ts';
import { configEntry } from './chain/config.ts';
import type { LogState, OnFailure } from './log.ts';
import type { SeatData } from './seat.ts';
import type { SignerOptions } from './signer.ts';
import type { FromAudit, ThreadOptions, ToAudit } from './thread.ts';

export interface AuditOptions extends Pick<ThreadOptions, 'folder' | 'rotateBytes' | 'rotateMs' | 'signEveryMs'> {
  readonly signer: SignerOptions;
  readonly onFailure: OnFailure;
  /** Whether paths of requests are told. */
  readonly paths: boolean;
}

/** Beside this module in the sources, with another name in the build. */
const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './audit-thread.js', import.meta.url);

type Proxy = Pick<ProxyIdentity, 'type' | 'namespace' | 'name'>;

export class Audit {
  readonly #options: AuditOptions;
  readonly #log: Logger;
  readonly #failing = new SharedArrayBuffer(4);
  readonly #thread: Worker;
  readonly #configs = new Map<string, string>();
  readonly #opened = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  #state: LogState | undefined;
  #over = false;

  private constructor(options: AuditOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
    const data: ThreadOptions = { ...options, product: `sallyport/${productVersion()}`, failing: this.#failing };
    this.#thread = new Worker(ENTRY, { name: 'sallyport-audit', workerData: data });
    this.#thread.on('message', (message: FromAudit) => this.#hear(message));
    this.#thread.on('error', (error) => this.#end(messageOf(error)));
    this.#thread.on('exit', () => this.#end('its thread ended'));
  }

  /** Resolves when it can be written. Rejects with `audit-unwritable`, `audit-in-use`, `audit-key-unusable`, `usage`. */
  static async start(options: AuditOptions, log: Logger): Promise<Audit> {
    const audit = new Audit(options, log);
    await audit.#opened.promise;
    return audit;
  }

  get state(): LogState {
    return this.#state!;
  }

  get onFailure(): OnFailure {
    return this.#options.onFailure;
  }

  /** For a thread that carries this proxy's traffic. */
  seat({ type: role, namespace, name }: Proxy): SeatData {
    const { port1, port2 } = new MessageChannel();
    const taken = new SharedArrayBuffer(4);
    this.#post({ kind: 'seat', port: port2, taken }, [port2]);
    const { onFailure, paths } = this.#options;
    return { port: port1, failing: this.#failing, taken, onFailure, proxy: proxyName({ namespace, name }), role, paths };
  }

  /** A proxy has taken a change over. */
  configured(proxy: Proxy, update: XdsUpdate, { rejected }: XdsAck): void {
    const key = `${proxy.type} ${proxyName(proxy)}`;
    const before = this.#configs.get(key) ?? '';
    this.#configs.set(key, update.version);
    const time = new Date().toISOString();
    this.#post({ kind: 'entry', entry: configEntry({ proxy: proxyName(proxy), role: proxy.type, before, update, rejected, time }) });
  }

  /** Once no call comes any more: writes and signs what there is. */
  async close(): Promise<void> {
    if (!this.#over) this.#post({ kind: 'close' });
    await this.#closed.promise;
  }

  #post(message: ToAudit, transfer: readonly MessagePort[] = []): void {
    this.#thread.postMessage(message, [...transfer] as never);
  }

  #hear(message: FromAudit): void {
    if (message.kind === 'problem') {
      this.#over = true;
      this.#opened.reject(new SallyportError(message.code, `--audit ${this.#options.folder}: ${message.message}`));
      return;
    }
    const before = this.#state;
    this.#state = message.state;
    if (message.kind === 'open') {
      if (message.damage !== undefined) this.#log('error', `audit: ${message.damage}`);
      this.#opened.resolve();
    } else if (message.kind === 'state') this.#tell(before?.failing, message.state);
    else this.#close(message.problem);
  }

  #tell(before: string | undefined, { failing, lost }: LogState): void {
    if (failing === before) return;
    const { folder } = this.#options;
    if (failing === undefined) this.#log('info', `audit: ${folder} is written again; ${lost} lines were lost so far`);
    else this.#log('error', `audit: ${folder} cannot be written, so ${this.#consequence}: ${failing}`);
  }

  get #consequence(): string {
    return this.#options.onFailure === 'refuse' ? 'calls are refused until it can' : 'calls go on without (--audit-on-failure go-on)';
  }

  #close(problem: string | undefined): void {
    this.#over = true;
    if (problem !== undefined) this.#log('error', `audit: what was last is not written: ${problem}`);
    this.#closed.resolve();
  }

  /** The thread has ended by itself: nothing is written any more. */
  #end(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    Atomics.store(new Int32Array(this.#failing), 0, 1);
    if (this.#state) this.#state = { ...this.#state, failing: reason };
    this.#log('error', `audit: ${reason}, so ${this.#consequence}`);
    this.#opened.reject(new SallyportError('audit-unwritable', reason));
    this.#closed.resolve();
  }
}

/** Around some work: the audit can be written before it begins, and is ended after it. Rejects as `Audit.start`. */
export async function audited<T>(options: AuditOptions, log: Logger, work: (audit: Audit) => Promise<T>): Promise<T> {
  const audit = await Audit.start(options, log);
  try {
    return await work(audit);
  } finally {
    await audit.close();
  }
}
