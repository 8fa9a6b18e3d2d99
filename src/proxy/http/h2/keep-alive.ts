/** PINGs of one connection, each of which is to be answered in time (RFC 9113 §6.7). */
import type { KeepAliveOptions } from '../../../http/h2/options.ts';
import { TimerEntry, type Timers } from '../timers.ts';
import type { Session } from './session.ts';

const PAYLOAD = Buffer.from('sallypor', 'latin1');

export class KeepAlive {
  readonly #timers: Timers;
  readonly #options: KeepAliveOptions;
  readonly #session: Session;
  readonly #next = new TimerEntry(() => this.#ping());
  readonly #answer: TimerEntry;

  /** `dead`: the peer has not answered. */
  constructor(timers: Timers, options: KeepAliveOptions, session: Session, dead: () => void) {
    this.#timers = timers;
    this.#options = options;
    this.#session = session;
    this.#answer = new TimerEntry(dead);
    timers.arm(this.#next, options.intervalMs);
  }

  pongCame(): void {
    this.#timers.disarm(this.#answer);
  }

  stop(): void {
    this.#timers.disarm(this.#next);
    this.#timers.disarm(this.#answer);
  }

  #ping(): void {
    this.#session.sending.ping(PAYLOAD, false);
    if (this.#answer.list === undefined) this.#timers.arm(this.#answer, this.#options.timeoutMs);
    this.#timers.arm(this.#next, this.#options.intervalMs);
  }
}
