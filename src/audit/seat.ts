/** Where a thread that carries traffic tells the audit of its calls, and asks whether calls may go on. */
import type { MessagePort } from 'node:worker_threads';
import type { ProxyFlow } from '../flows/flow.ts';
import { callEntry } from './chain/call.ts';
import type { OnFailure } from './log.ts';

/** What a thread gets; the port has to be transferred. */
export interface SeatData {
  readonly port: MessagePort;
  /** Int32: 1 while the audit cannot be written; of all seats. */
  readonly failing: SharedArrayBuffer;
  /** Int32: how many entries of this seat were taken, modulo 2^32. */
  readonly taken: SharedArrayBuffer;
  readonly onFailure: OnFailure;
  /** `namespace/name` of the proxy's workload. */
  readonly proxy: string;
  readonly role: 'sidecar' | 'router';
  readonly paths: boolean;
}

/** From a seat to the audit's thread. */
export interface Told {
  /** In canonical form, a line each. */
  readonly entries: string;
  readonly count: number;
  /** So many were left out before. */
  readonly lost: number;
}

/** So many entries of a seat may wait to be written: beyond, calls are refused, or go on and are counted. */
const MOST_UNTAKEN = 50_000;
/** Calls that are under way then still end, and their entries are kept. */
const MOST_KEPT = 2 * MOST_UNTAKEN;

/** Why calls are refused while they could not be audited; stands in records as Envoy's details of a response do. */
export const AUDIT_UNAVAILABLE = 'audit_unavailable';

export class AuditSeat {
  readonly #data: SeatData;
  readonly #failing: Int32Array;
  readonly #taken: Int32Array;
  #entries: string[] = [];
  #sent = 0;
  #lost = 0;
  #config = '';

  constructor(data: SeatData) {
    this.#data = data;
    this.#failing = new Int32Array(data.failing);
    this.#taken = new Int32Array(data.taken);
    // The audit's thread hears of the end of this one.
    data.port.unref();
  }

  /** Whether a call may begin: it is certain to be audited, or need not be. */
  get admits(): boolean {
    if (this.#data.onFailure === 'go-on') return true;
    return Atomics.load(this.#failing, 0) === 0 && this.#untaken() < MOST_UNTAKEN;
  }

  /** @param config hash of the configuration that is in force from now on */
  configured(config: string): void {
    this.#config = config;
  }

  /** A call has ended. */
  tell(flow: ProxyFlow): void {
    if (this.#untaken() >= MOST_KEPT) {
      this.#lost++;
      return;
    }
    this.#entries.push(callEntry(flow, this.#config, this.#data));
    if (this.#entries.length === 1) setImmediate(() => this.flush());
  }

  flush(): void {
    if (this.#entries.length === 0 && this.#lost === 0) return;
    const told: Told = { entries: this.#entries.join('\n'), count: this.#entries.length, lost: this.#lost };
    this.#sent = (this.#sent + this.#entries.length) | 0;
    this.#entries = [];
    this.#lost = 0;
    this.#data.port.postMessage(told);
  }

  #untaken(): number {
    return ((this.#sent - Atomics.load(this.#taken, 0)) | 0) + this.#entries.length;
  }
}
