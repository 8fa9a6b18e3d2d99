/** How long the stream of one request may be idle, may take to bring its request, and may last. */
import type { LocalReply } from '../../http/local-reply.ts';
import { TimerEntry, type Timers } from './timers.ts';

export type StreamTimeout = 'idle' | 'request' | 'duration';

export interface TimedStream {
  timedOut(what: StreamTimeout): void;
}

export class StreamTimeouts {
  readonly #stream: TimedStream;
  readonly #timers: Timers;
  readonly #now: () => number;
  #idle: TimerEntry | undefined = undefined;
  #idleMs = 0;
  #activity = 0;
  #request: TimerEntry | undefined = undefined;
  #duration: TimerEntry | undefined = undefined;

  constructor(stream: TimedStream, timers: Timers, now: () => number) {
    this.#stream = stream;
    this.#timers = timers;
    this.#now = now;
  }

  /** Without bytes in either direction for `ms` the stream times out. 0: never. */
  setIdle(ms: number): void {
    this.#idleMs = ms;
    if (this.#idle) this.#timers.disarm(this.#idle);
    if (ms <= 0) return;
    this.#activity = this.#now();
    this.#idle ??= new TimerEntry(() => this.#idleCheck());
    this.#timers.arm(this.#idle, ms);
  }

  /** Bytes have gone one way or the other. */
  active(): void {
    if (this.#idleMs > 0) this.#activity = this.#now();
  }

  /** The request must be whole within `ms`. */
  setRequest(ms: number): void {
    this.#request = new TimerEntry(() => this.#stream.timedOut('request'));
    this.#timers.arm(this.#request, ms);
  }

  requestEnded(): void {
    if (this.#request) this.#timers.disarm(this.#request);
  }

  /** The stream must end within `ms` of `started`. 0: it may last as long as it will. */
  setDuration(ms: number, started: number): void {
    if (this.#duration) this.#timers.disarm(this.#duration);
    if (ms <= 0) return;
    this.#duration ??= new TimerEntry(() => this.#stream.timedOut('duration'));
    this.#timers.arm(this.#duration, Math.max(1, Math.ceil(ms - (this.#now() - started))));
  }

  end(): void {
    if (this.#idle) this.#timers.disarm(this.#idle);
    if (this.#request) this.#timers.disarm(this.#request);
    if (this.#duration) this.#timers.disarm(this.#duration);
  }

  #idleCheck(): void {
    const left = this.#idleMs - (this.#now() - this.#activity);
    // Rounded, so that few durations are in use.
    if (left > 1) this.#timers.arm(this.#idle!, Math.ceil(left / 250) * 250);
    else this.#stream.timedOut('idle');
  }
}

/** Of gRPC's status codes. */
const DEADLINE_EXCEEDED = 4;

/** The answer to a stream that took too long. The client is to blame as long as its request is not whole. */
export function timeoutReply(what: StreamTimeout, requestEnded: boolean): LocalReply {
  if (what === 'request') return { status: 408, body: 'request timeout', details: 'request_overall_timeout' };
  const common = { status: requestEnded ? 504 : 408, ofRoute: 'forward' } as const;
  if (what === 'idle') return { ...common, body: 'stream timeout', details: 'stream_idle_timeout', flag: 'SI' };
  return { ...common, body: 'downstream duration timeout', details: 'max_duration_timeout', grpcStatus: DEADLINE_EXCEEDED };
}
