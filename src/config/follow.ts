/**
 * The one loop in which something that is read from files is read again: notices of the file system, requests to reload and retries queue up,
 * and a load is never in flight beside another.
 */
import { SallyportError } from '../lib/errors.ts';
import { COALESCE, type CoalesceOptions, Coalescer } from './coalesce.ts';
import { EndWatch } from './end-watch.ts';
import { FolderWatch } from './folder-watch.ts';
import { isPassing } from './passing.ts';
import { steadyNow } from './steady-clock.ts';

/** What a load brought. */
export interface Loaded<T> {
  readonly value: T;
  /** Whether it differs from what the load before brought. */
  readonly changed: boolean;
  /** Folders that tell of changes. */
  readonly folders: ReadonlySet<string>;
  /** Something could not be read for a reason that passes by itself. */
  readonly incomplete: boolean;
  /** It is to be read again then, as something in it ends, ms since the epoch. */
  readonly until?: number | undefined;
}

/** Reads what there is to read. It is not called again before it has settled. */
export type Load<T> = () => Promise<Loaded<T>>;

export interface FollowTimes {
  /** 100 ms of quiet, 10 s at most, if not said. */
  readonly coalesce?: CoalesceOptions;
  /** After a load that was incomplete the next one comes after `first` ms, then twice that and so on, up to `most` ms. 200 ms to 10 s if not said. */
  readonly retry?: { readonly first: number; readonly most: number };
  /** What time it is for what ends, ms since the epoch. */
  readonly now?: () => number;
}

/** Who follows. */
export interface Listener<T> {
  /** In the order of the loads: what each brought that changed something or was asked for. */
  changed(value: T): void;
  /** A load failed that nobody had asked for; what was read before holds. */
  failed(error: unknown): void;
}

interface Request<T> {
  /** Reads by this from now on. */
  readonly load: Load<T> | undefined;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export class Follower<T> {
  #load: Load<T>;
  readonly #listener: Listener<T>;
  readonly #retry: { readonly first: number; readonly most: number };
  readonly #coalescer: Coalescer;
  readonly #watch: FolderWatch;
  readonly #end: EndWatch;
  #watching = false;
  #folders: ReadonlySet<string>;
  readonly #requests: Request<T>[] = [];
  /** Something may have changed that no load has seen. */
  #noticed = false;
  #running = false;
  #closed = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #retryAfter: number;

  /** @param first what the first load brought */
  constructor(load: Load<T>, first: Omit<Loaded<T>, 'value'>, listener: Listener<T>, times: FollowTimes = {}) {
    this.#load = load;
    this.#listener = listener;
    this.#retry = times.retry ?? { first: 200, most: 10_000 };
    this.#retryAfter = this.#retry.first;
    this.#coalescer = new Coalescer(() => this.#notice(), times.coalesce ?? COALESCE);
    this.#watch = new FolderWatch(() => this.#coalescer.signal());
    this.#end = new EndWatch(times.now ?? steadyNow, () => this.#notice());
    this.#folders = first.folders;
    this.#end.wait(first.until ?? Number.POSITIVE_INFINITY);
    if (first.incomplete) this.#retryLater();
  }

  /** From now on changes are followed. */
  watch(): void {
    this.#watching = true;
    this.#watch.follow(this.#folders);
  }

  /**
   * Resolves with what a load brought that began after this call. It is given to the listener before, even if nothing changed.
   * @param load reads by this from now on; if it fails, by what it was before
   */
  reload(load?: Load<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(ended());
      this.#requests.push({ load, resolve, reject });
      this.#wake();
    });
  }

  /** Ends it. Nothing is given to the listener any more; requests that wait are rejected. */
  close(): void {
    this.#closed = true;
    this.#coalescer.close();
    this.#end.close();
    this.#watch.close();
    clearTimeout(this.#retryTimer);
    for (const { reject } of this.#requests.splice(0)) reject(ended());
  }

  #notice(): void {
    this.#noticed = true;
    this.#wake();
  }

  #wake(): void {
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (!this.#closed && (this.#noticed || this.#requests.length > 0)) {
      this.#noticed = false;
      await this.#turn(this.#takeRequests());
    }
    this.#running = false;
  }

  /** Those that one load answers: one that changes what is read is alone. */
  #takeRequests(): readonly Request<T>[] {
    const change = this.#requests.findIndex(({ load }) => load !== undefined);
    return this.#requests.splice(0, change < 0 ? this.#requests.length : Math.max(change, 1));
  }

  async #turn(requests: readonly Request<T>[]): Promise<void> {
    clearTimeout(this.#retryTimer);
    const load = requests[0]?.load ?? this.#load;
    try {
      const loaded = await load();
      if (this.#closed) throw ended();
      this.#load = load;
      this.#folders = loaded.folders;
      this.#end.wait(loaded.until ?? Number.POSITIVE_INFINITY);
      if (this.#watching) this.#watch.follow(loaded.folders);
      if (loaded.incomplete) this.#retryLater();
      else this.#retryAfter = this.#retry.first;
      if (loaded.changed || requests.length > 0) this.#listener.changed(loaded.value);
      for (const { resolve } of requests) resolve(loaded.value);
    } catch (error) {
      if (isPassing(error)) this.#retryLater();
      else this.#end.again();
      if (requests.length === 0 && !this.#closed) this.#listener.failed(error);
      for (const { reject } of requests) reject(error);
    }
  }

  #retryLater(): void {
    if (this.#closed) return;
    this.#retryTimer = setTimeout(() => this.#notice(), this.#retryAfter);
    this.#retryTimer.unref();
    this.#retryAfter = Math.min(this.#retryAfter * 2, this.#retry.most);
  }
}

function ended(): SallyportError {
  return new SallyportError('ended', 'the files are not followed any more');
}
