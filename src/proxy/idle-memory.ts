/**
 * Keeps a thread's memory small, and gives it back when nothing is going on. V8 collects as memory is asked for, so a heap that start-up or a burst of
 * traffic has grown stays as large for as long as the thread idles (docs/decisions/start-up.md has the figures).
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { libc } from '../lib/libc.ts';

/** Milliseconds after which a start is over. */
const STARTED = 1000;
/** Milliseconds between two looks. */
const PERIOD = 3000;
/**
 * Periods without work before a collection: one after a start, and then more, as a collection takes compiled code with it (what it knows objects by is gone with
 * them), which traffic after a short pause would pay for.
 */
const PAUSE = { first: 1, later: 10 };
/** A thread that worked for less than this many milliseconds of a period is idle: its timers alone take about one. */
const IDLE = 10;
/** A collection takes some 50 ms: bytes that the heap must have grown by for one to be worth it. */
const WORTH = 4 * 1024 * 1024;
/** From so many bytes on it takes up to seconds, and V8 then collects sooner again, in the midst of work: only what has doubled is worth it. */
const LARGE = 64 * 1024 * 1024;

interface Heap {
  /** Milliseconds that the thread has been working since it began. */
  activeMs(): number;
  /** Bytes that the heap takes from the system. */
  size(): number;
  collect(): void;
}

export class IdleMemory {
  readonly #heap: Heap;
  #active: number;
  #settled = 0;
  #idlePeriods = 0;

  constructor(heap: Heap) {
    this.#heap = heap;
    this.#active = heap.activeMs();
  }

  /** To be called once a period: collects if the thread has been idle for long enough and it is worth it. */
  look(): void {
    const active = this.#heap.activeMs();
    this.#idlePeriods = active - this.#active < IDLE ? this.#idlePeriods + 1 : 0;
    this.#active = active;
    if (this.#idlePeriods < (this.#settled === 0 ? PAUSE.first : PAUSE.later)) return;
    const worth = this.#settled < LARGE ? WORTH : this.#settled;
    if (this.#heap.size() - this.#settled < worth) return;
    this.#heap.collect();
    this.#settled = this.#heap.size();
    this.#active = this.#heap.activeMs();
  }
}

/** CPU time of the calling thread: by the clock, a thread of a busy machine would never seem idle. */
function activeMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/**
 * For processes that do little but carry traffic: leaves V8's middle compiler out, which takes a third of a small proxy's memory. Once code is warm requests
 * cost no less with it; the best compiler begins sooner in its place. V8 does not take cached code that was made under other flags, so they are changed
 * when what a start loads is loaded. Holds for all threads.
 */
export function leaveOutMaglev(): void {
  setTimeout(() => {
    setFlagsFromString('--no-maglev');
    setFlagsFromString('--invocation-count-for-turbofan=1000');
  }, STARTED).unref();
}

type Trim = (keep: number) => unknown;

let trim: Trim | undefined;

/**
 * What C++ has freed stays with glibc, in holes and with each thread that asked for it: of a proxy with 1,000 connections a fifth, most of it of V8's compilers.
 * malloc_trim(3) gives it back. Other C libraries have no such call, nor need for it.
 */
function loadTrim(): Trim {
  try {
    return libc().func('int malloc_trim(size_t pad)');
  } catch {
    return () => undefined;
  }
}

/** Looks after the calling thread's heap from now on. Returns what ends that. */
export function collectWhenIdle(): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void;
  const memory = new IdleMemory({
    activeMs,
    size: () => getHeapStatistics().total_heap_size,
    collect() {
      collect({ type: 'major', flavor: 'last-resort' });
      trim ??= loadTrim();
      trim(0);
    },
  });
  const timer = setInterval(() => memory.look(), PERIOD).unref();
  return () => clearInterval(timer);
}
