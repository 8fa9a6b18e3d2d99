/** How long a client's connection may be idle, may take for a head, may last, and may take to close. */
import type { LocalReply } from '../../http/local-reply.ts';
import type { ManagerOptions } from '../../http/options.ts';
import { TimerEntry, type Timers } from './timers.ts';

/** What is done when a time is up. By then the connection may have become busy, or have ended. */
export interface TimedConnection {
  idleTimeout(): void;
  /** A head that began has not come to its end. */
  headTimeout(reply: LocalReply): void;
  /** `max_connection_duration`. */
  tooOld(): void;
  /** `drain_timeout`: no more requests are waited for. */
  drainTimeout(): void;
}

/** What a head may take, in ms, where the configuration lets requests take as long as they will. */
const OWN_HEAD_MS = 300_000;

const HEADERS_TIMEOUT: LocalReply = { status: 408, body: 'request header timeout', details: 'request_header_timeout' };
const REQUEST_TIMEOUT: LocalReply = { status: 408, body: 'request timeout', details: 'request_overall_timeout' };
const IDLE_TIMEOUT: LocalReply = { status: 408, body: 'stream timeout', details: 'stream_idle_timeout', flag: 'SI' };

interface HeadLimit {
  readonly ms: number;
  readonly reply: LocalReply;
}

/** What ends a head first. Its bytes do not begin the idle time anew, as one now and then would keep it for ever. */
export function headLimit({ requestHeadersMs, requestMs, streamIdleMs }: ManagerOptions): HeadLimit {
  const limits: readonly HeadLimit[] = [
    { ms: requestHeadersMs, reply: HEADERS_TIMEOUT },
    { ms: requestMs, reply: REQUEST_TIMEOUT },
    { ms: streamIdleMs, reply: IDLE_TIMEOUT },
  ];
  const [first] = limits.filter(({ ms }) => ms > 0).sort((a, b) => a.ms - b.ms);
  return first ?? { ms: OWN_HEAD_MS, reply: HEADERS_TIMEOUT };
}

/** What has come is read before: a thread that was busy looks at its timers first, and a request that waits would be lost with the connection. */
function afterReading(act: () => void): () => void {
  return () => void setImmediate(act);
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
    if (options.idleMs > 0) this.#idle = new TimerEntry(afterReading(() => connection.idleTimeout()));
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

  /** The first bytes of a head have come, and not the last. From here on it is a request's time that passes, as in Envoy, not the idle connection's. */
  headBegins(): void {
    if (this.#head !== undefined) return;
    this.busy();
    const { ms, reply } = headLimit(this.#options);
    this.#head = new TimerEntry(() => this.#connection.headTimeout(reply));
    this.#timers.arm(this.#head, ms);
  }

  headEnds(): void {
    if (this.#head) this.#timers.disarm(this.#head);
    this.#head = undefined;
  }

  drain(): void {
    this.#drain = new TimerEntry(afterReading(() => this.#connection.drainTimeout()));
    this.#timers.arm(this.#drain, this.#options.drainMs);
  }

  /** The connection is destroyed unless it closes by itself before (`delayed_close_timeout`). */
  closeSoon(connection: { destroy(): void }): void {
    this.#close ??= new TimerEntry(() => connection.destroy());
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
