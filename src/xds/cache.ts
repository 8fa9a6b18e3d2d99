/**
 * What each group of proxies is to run, published under a key and watched by whoever runs it: compare go-control-plane's cache with its CreateWatch
 * and CreateDeltaWatch. A publisher never waits. A watch gives its client one change at a time, at the client's own pace, always towards the newest
 * set: those published meanwhile replace each other. A change is the difference to what this client has acknowledged.
 */
import type { XdsResources, XdsUpdate } from './resources.ts';
import { EMPTY_SET, type EncodedResource, type EncodedSet, ofNoVersion, unsettled, updateBetween } from './update.ts';

/** A set as it is published. */
export interface Publication {
  readonly set: EncodedSet;
  readonly resources: XdsResources;
}

/** A part of a change that a client would not take; what it had before of that resource stays. */
export interface Refused {
  /** `type/name`, as the set names it; undefined for what is no single resource. */
  readonly key?: string;
}

/** Whoever runs a set: an engine, or a stream to one. */
export interface Client<R extends Refused> {
  /** Resolves when the change is in force, with what was refused; rejects if nobody knows what is in force. */
  apply(resources: XdsResources, update: XdsUpdate): Promise<readonly R[]>;
}

/** What a client made of a publication. */
export type Acknowledgement<P extends Publication, R extends Refused> =
  | { readonly kind: 'accepted'; readonly publication: P; readonly refused: readonly R[] }
  /** It is tried again, and with the next publication too. */
  | { readonly kind: 'failed'; readonly publication: P; readonly error: unknown };

export interface RetryTimes {
  /** ms after which a change that failed is tried again, then twice that and so on. */
  readonly first: number;
  readonly most: number;
}

const RETRY: RetryTimes = { first: 1000, most: 30_000 };

export class SetCache<P extends Publication, R extends Refused> {
  readonly #published = new Map<string, P>();
  readonly #followers = new Map<string, Set<Follower<P>>>();
  readonly #retry: RetryTimes;

  constructor(retry: RetryTimes = RETRY) {
    this.#retry = retry;
  }

  /** Replaces what the key had; its followers learn of it. */
  publish(key: string, publication: P): void {
    this.#published.set(key, publication);
    for (const follower of this.#followers.get(key) ?? []) follower.published(publication);
  }

  /** Forgets a key that nobody is to run any more; its followers stay as they are. */
  withdraw(key: string): void {
    this.#published.delete(key);
  }

  /** Tells of what is published under the key, from what is there now on. Returns what ends it. */
  follow(key: string, follower: Follower<P>): () => void {
    const followers = this.#followers.get(key) ?? new Set();
    this.#followers.set(key, followers);
    followers.add(follower);
    const present = this.#published.get(key);
    if (present) follower.published(present);
    return () => {
      followers.delete(follower);
      if (followers.size === 0 && this.#followers.get(key) === followers) this.#followers.delete(key);
    };
  }

  /** Keeps the client at what is published under the key, from what is there now on, and says what it made of each change. */
  watch(key: string, client: Client<R>, acknowledged: (answer: Acknowledgement<P, R>) => void): Watch<P, R> {
    let unfollow = () => {};
    const watch = new Watch(client, acknowledged, this.#retry, () => unfollow());
    unfollow = this.follow(key, watch);
    return watch;
  }
}

/** Takes each publication as it comes. */
export interface Follower<P extends Publication> {
  published(publication: P): void;
}

/** One client of one key. */
export class Watch<P extends Publication, R extends Refused> implements Follower<P> {
  readonly #client: Client<R>;
  readonly #acknowledged: (answer: Acknowledgement<P, R>) => void;
  readonly #ended: () => void;
  readonly #retry: RetryTimes;
  #retryAfter: number;
  #timer: NodeJS.Timeout | undefined;
  /** The newest publication that the client has not been given yet. */
  #waiting: P | undefined;
  /** What the client runs, as far as is known. */
  #known: EncodedSet = EMPTY_SET;
  #busy = false;
  #closed = false;

  constructor(client: Client<R>, acknowledged: (answer: Acknowledgement<P, R>) => void, retry: RetryTimes, ended: () => void) {
    this.#client = client;
    this.#acknowledged = acknowledged;
    this.#retry = retry;
    this.#retryAfter = retry.first;
    this.#ended = ended;
  }

  /** For the cache. */
  published(publication: P): void {
    this.#waiting = publication;
    clearTimeout(this.#timer);
    if (!this.#busy) void this.#deliver();
  }

  /** Nothing more is given to the client, and nothing more said of it. A change that it is busy with goes on. */
  close(): void {
    this.#closed = true;
    this.#waiting = undefined;
    clearTimeout(this.#timer);
    this.#ended();
  }

  async #deliver(): Promise<void> {
    this.#busy = true;
    while (this.#waiting) {
      const publication = this.#waiting;
      this.#waiting = undefined;
      await this.#give(publication);
    }
    this.#busy = false;
  }

  async #give(publication: P): Promise<void> {
    const answer = await this.#ask(publication);
    if (this.#closed) return;
    this.#acknowledged(answer);
    if (answer.kind === 'accepted') this.#retryAfter = this.#retry.first;
    else this.#tryAgain(publication);
  }

  async #ask(publication: P): Promise<Acknowledgement<P, R>> {
    const { set, resources } = publication;
    const update = updateBetween(this.#known, set);
    if (!update) return { kind: 'accepted', publication, refused: [] };
    try {
      const refused = await this.#client.apply(resources, update);
      this.#known = unsettled(set, new Set(refused.map(({ key }) => key)));
      return { kind: 'accepted', publication, refused };
    } catch (error) {
      this.#known = uncertain(this.#known, update);
      return { kind: 'failed', publication, error };
    }
  }

  #tryAgain(publication: P): void {
    // What has been published meanwhile is given at once. Whoever was told of the failure may have closed this.
    if (this.#waiting || this.#closed) return;
    this.#timer = setTimeout(() => this.published(publication), this.#retryAfter);
    this.#timer.unref();
    this.#retryAfter = Math.min(this.#retryAfter * 2, this.#retry.most);
  }
}

/** After a failure each resource of the change may be there or not, in the old version or the new: all of them are to be sent, or removed, again. */
function uncertain(known: EncodedSet, { version, changed, removed }: XdsUpdate): EncodedSet {
  const resources = new Map<string, EncodedResource>(known.resources);
  const doubt = (resource: EncodedResource) => resources.set(`${resource.type}/${resource.name}`, ofNoVersion(resource));
  for (const resource of changed) doubt(resource);
  for (const { type, name } of removed) {
    const before = resources.get(`${type}/${name}`);
    if (before) doubt(before);
  }
  return { version: `in doubt after ${version}`, resources };
}
