/** How long a client's connection may be idle, may take for a head, may last, and may take to close. */
import type { Socket } from 'node:net';
import type { ManagerOptions } from '../../http/options.ts';
import { TimerEntry, type Timers } from './timers.ts';

/** What is done when a time is up. */
export interface TimedConnection {
  idleTimeout(): void;
  /** A head that began has not come to its end. */
  headTimeout(): void;
  /** `max_connection_duration`. */
  tooOld(): void;
  /** `drain_timeout`: no more requests are waited for. */
  drainTimeout(): void;
}

export class ServerTimers {
  readonly #connection: TimedConnection;
  readonly #timers: Timers;
  readonly #options: ManagerOptions;
  #idle: TimerEntry | undefined = undefined;
  #head: TimerEntry | undefined = undefined;
  #age: TimerEntry | undefined = undefined;
  #drain: TimerEntry | undefined = undefined;
  #close: TimerEntry | undefined = undefined;

  constructor(connection: TimedConnection, timers: Timers, options: ManagerOptions) {
    this.#connection = connection;
    this.#timers = timers;
    this.#options = options;
    if (options.idleMs > 0) this.#idle = new TimerEntry(() => connection.idleTimeout());
    if (options.maxConnectionMs <= 0) return;
    this.#age = new TimerEntry(() => connection.tooOld());
    timers.arm(this.#age, options.maxConnectionMs);
  }

  /** Nothing runs on the connection. */
  rest(): void {
    if (this.#idle) this.#timers.arm(this.#idle, this.#options.idleMs);
  }

  busy(): void {
    if (this.#idle) this.#timers.disarm(this.#idle);
  }

  headBegins(): void {
    if (this.#head !== undefined || this.#options.requestHeadersMs <= 0) return;
    this.#head = new TimerEntry(() => this.#connection.headTimeout());
    this.#timers.arm(this.#head, this.#options.requestHeadersMs);
  }

  headEnds(): void {
    if (this.#head) this.#timers.disarm(this.#head);
    this.#head = undefined;
  }

  drain(): void {
    this.#drain = new TimerEntry(() => this.#connection.drainTimeout());
    this.#timers.arm(this.#drain, this.#options.drainMs);
  }

  /** The socket is destroyed unless it closes by itself before (`delayed_close_timeout`). */
  closeSoon(socket: Socket): void {
    this.#close ??= new TimerEntry(() => socket.destroy());
    this.#timers.arm(this.#close, Math.max(1, this.#options.delayedCloseMs));
  }

  closed(): void {
    if (this.#close) this.#timers.disarm(this.#close);
  }

  /** No request is read any more. */
  end(): void {
    if (this.#idle) this.#timers.disarm(this.#idle);
    if (this.#head) this.#timers.disarm(this.#head);
    if (this.#age) this.#timers.disarm(this.#age);
    if (this.#drain) this.#timers.disarm(this.#drain);
  }
}
