/**
 * Timeouts of requests and connections. Arming and disarming one is a few pointer writes: entries of one duration wait in one list in the order of
 * their deadlines, and one interval looks at the heads of the lists. A timeout comes up to one tick late, never early.
 */

/** Something that can time out; embed or extend it. Belongs to at most one list at a time. */
export class TimerEntry {
  previous: TimerEntry | undefined = undefined;
  next: TimerEntry | undefined = undefined;
  list: TimerList | undefined = undefined;
  deadline = 0;
  readonly fire: () => void;

  constructor(fire: () => void) {
    this.fire = fire;
  }
}

interface TimerList {
  readonly ms: number;
  first: TimerEntry | undefined;
  last: TimerEntry | undefined;
}

const FINE_TICK_MS = 20;
const COARSE_TICK_MS = 500;
/** From this duration on the coarse tick is fine enough. */
const COARSE_FROM_MS = 20_000;

class Wheel {
  readonly #now: () => number;
  readonly #tickMs: number;
  readonly #lists = new Map<number, TimerList>();
  #interval: NodeJS.Timeout | undefined;
  #armed = 0;

  constructor(now: () => number, tickMs: number) {
    this.#now = now;
    this.#tickMs = tickMs;
  }

  arm(entry: TimerEntry, ms: number): void {
    let list = this.#lists.get(ms);
    if (!list) {
      list = { ms, first: undefined, last: undefined };
      this.#lists.set(ms, list);
    }
    entry.list = list;
    entry.deadline = this.#now() + ms;
    entry.previous = list.last;
    entry.next = undefined;
    if (list.last) list.last.next = entry;
    else list.first = entry;
    list.last = entry;
    this.#armed++;
    this.#interval ??= setInterval(() => this.#tick(), this.#tickMs).unref();
  }

  disarm(entry: TimerEntry): void {
    const { list, previous, next } = entry;
    if (!list) return;
    if (previous) previous.next = next;
    else list.first = next;
    if (next) next.previous = previous;
    else list.last = previous;
    entry.list = undefined;
    entry.previous = undefined;
    entry.next = undefined;
    this.#armed--;
  }

  #tick(): void {
    const now = this.#now();
    for (const [ms, list] of this.#lists) {
      for (let entry = list.first; entry && entry.deadline <= now; entry = list.first) {
        this.disarm(entry);
        entry.fire();
      }
      // Durations that clients choose (grpc-timeout) must not pile up.
      if (!list.first) this.#lists.delete(ms);
    }
    if (this.#armed === 0) {
      clearInterval(this.#interval);
      this.#interval = undefined;
    }
  }
}

export class Timers {
  readonly now: () => number;
  readonly #fine: Wheel;
  readonly #coarse: Wheel;

  constructor(now: () => number) {
    this.now = now;
    this.#fine = new Wheel(now, FINE_TICK_MS);
    this.#coarse = new Wheel(now, COARSE_TICK_MS);
  }

  /** `entry.fire` is called once, `ms` from now. An entry that is armed starts anew. */
  arm(entry: TimerEntry, ms: number): void {
    if (entry.list) this.disarm(entry);
    (ms >= COARSE_FROM_MS ? this.#coarse : this.#fine).arm(entry, ms);
  }

  disarm(entry: TimerEntry): void {
    if (entry.list) (entry.list.ms >= COARSE_FROM_MS ? this.#coarse : this.#fine).disarm(entry);
  }
}
