/**
 * Who looks, where people are told apart: each by a token of the cluster, which says who they are and what they may see. It is asked again and again, and whom the
 * cluster no longer takes is out. A browser has a cookie with a random id in place of the token, which is kept in memory alone; whatever stands before the console
 * may send the token itself with each request (`Authorization`).
 */
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { SallyportError } from '../lib/errors.ts';
import { Redacted } from '../lib/redacted.ts';
import { cookieIn } from './cookies.ts';
import type { Sight } from './sight.ts';

/** Asked of the cluster: undefined for a token that it does not take. Rejects where it does not say. */
export type Know = (token: Redacted) => Promise<Known | undefined>;

export interface Known {
  /** As the cluster calls them. */
  readonly name: string;
  /** Undefined: nothing. */
  readonly sight: Sight | undefined;
}

export interface VisitorsOptions {
  readonly know: Know;
  /** What was said of somebody is asked again after so long, ms. */
  readonly reviewMs?: number;
  /** In ms. */
  readonly now?: () => number;
}

const REVIEW_MS = 30_000;
/** A session ends after so long whatever happens, ms. */
const SESSION_MS = 12 * 60 * 60 * 1000;
const MOST_SESSIONS = 256;
/** Of one person; the oldest is forgotten when another comes. */
const MOST_OF_ONE = 8;
/** Entering at the same time: each is several requests to the API server. */
const MOST_BEGINNING = 8;
/** Tokens of service accounts have some 1,000 characters. */
const LONGEST_TOKEN = 8 * 1024;

export interface Visitor {
  readonly name: string;
  readonly sight: Sight;
  /** Has it called once the visitor may no longer see what they see. Returns what forgets it. */
  whenOut(ended: () => void): () => void;
}

interface Visit {
  readonly token: Redacted;
  readonly until: number;
  known: Known & { readonly sight: Sight };
  reviewed: number;
  reviewing: Promise<void> | undefined;
  readonly ends: Set<() => void>;
}

export class Visitors {
  readonly #know: Know;
  readonly #reviewMs: number;
  readonly #now: () => number;
  /** By hashes of session ids and of tokens; the oldest first. */
  readonly #visits = new Map<string, Visit>();
  readonly #timer: NodeJS.Timeout;
  #beginning = 0;
  #looking = false;

  constructor({ know, reviewMs = REVIEW_MS, now = Date.now }: VisitorsOptions) {
    this.#know = know;
    this.#reviewMs = reviewMs;
    this.#now = now;
    this.#timer = setInterval(() => void this.#look(), reviewMs).unref();
  }

  /** The id of a new session. Rejects with `no-session`, `sees-nothing`, `not-reviewed`, `busy`. */
  async enter(token: string): Promise<string> {
    const id = randomBytes(32).toString('base64url');
    await this.#begin(keyOf('session', id), token);
    return id;
  }

  /** Ends the session of the cookie, if there is one. */
  leave(headers: IncomingHttpHeaders, cookie: string): void {
    for (const id of cookieIn(headers, cookie)) this.#end(keyOf('session', id));
  }

  /** Who sends a request. Rejects as `enter`. */
  async admit(headers: IncomingHttpHeaders, cookie: string): Promise<Visitor> {
    const [, bearer] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
    // What stands before the console says who it is: a cookie of somebody else does not.
    if (headers.authorization !== undefined) {
      if (bearer === undefined) throw new SallyportError('no-session', 'Authorization is to be a bearer token of the cluster');
      const key = keyOf('token', bearer);
      return this.#visits.has(key) ? this.#again(key) : this.#begin(key, bearer);
    }
    const key = cookieIn(headers, cookie)
      .map((id) => keyOf('session', id))
      .find((each) => this.#visits.has(each));
    if (key === undefined) throw new SallyportError('no-session', 'enter with a token of the cluster first');
    return this.#again(key);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const key of [...this.#visits.keys()]) this.#end(key);
  }

  async #begin(key: string, text: string): Promise<Visitor> {
    if (text.length > LONGEST_TOKEN) throw notTaken();
    if (this.#beginning >= MOST_BEGINNING) throw new SallyportError('busy', 'too many enter at the same time: try again');
    this.#beginning++;
    const token = new Redacted(Buffer.from(text));
    const known = seeing(await this.#know(token).finally(() => this.#beginning--));
    // Whoever sends the token with each request may have sent several at once.
    const other = this.#visits.get(key);
    if (other) return visitorOf(other);
    const now = this.#now();
    const visit: Visit = { token, until: now + SESSION_MS, known, reviewed: now, reviewing: undefined, ends: new Set() };
    this.#makeRoom(known.name);
    this.#visits.set(key, visit);
    return visitorOf(visit);
  }

  async #again(key: string): Promise<Visitor> {
    const visit = this.#visits.get(key)!;
    if (this.#now() >= visit.until) this.#end(key);
    else if (this.#now() >= visit.reviewed + this.#reviewMs) await this.#review(key, visit);
    if (this.#visits.get(key) !== visit) throw new SallyportError('no-session', 'the session has ended: enter again');
    return visitorOf(visit);
  }

  /** Once for all who wait for it. Rejects as `enter`; the visit is over unless it rejects with `not-reviewed`. */
  #review(key: string, visit: Visit): Promise<void> {
    visit.reviewing ??= this.#reviewed(key, visit).finally(() => {
      visit.reviewing = undefined;
    });
    return visit.reviewing;
  }

  async #reviewed(key: string, visit: Visit): Promise<void> {
    const answer = await this.#know(visit.token);
    if (!answer?.sight) this.#end(key);
    const known = seeing(answer);
    if (known.sight.key !== visit.known.sight.key) letGo(visit);
    visit.known = known;
    visit.reviewed = this.#now();
  }

  /** Whoever only listens is looked at as well. What is not known to be allowed is not shown on. */
  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    for (const [key, visit] of [...this.#visits]) {
      if (this.#now() >= visit.until) this.#end(key);
      else if (visit.ends.size > 0) await this.#review(key, visit).catch(() => letGo(visit));
    }
    this.#looking = false;
  }

  #makeRoom(name: string): void {
    const own = [...this.#visits].filter(([, { known }]) => known.name === name).map(([key]) => key);
    if (own.length >= MOST_OF_ONE) this.#end(own[0]!);
    const [oldest] = this.#visits.keys();
    if (this.#visits.size >= MOST_SESSIONS) this.#end(oldest!);
  }

  #end(key: string): void {
    const visit = this.#visits.get(key);
    this.#visits.delete(key);
    if (visit) letGo(visit);
  }
}

function letGo({ ends }: Visit): void {
  for (const end of [...ends]) end();
  ends.clear();
}

function visitorOf(visit: Visit): Visitor {
  const { name, sight } = visit.known;
  return {
    name,
    sight,
    whenOut: (ended) => {
      visit.ends.add(ended);
      return () => void visit.ends.delete(ended);
    },
  };
}

/** Throws `no-session`, `sees-nothing`. */
function seeing(known: Known | undefined): Visit['known'] {
  if (!known) throw notTaken();
  const { name, sight } = known;
  if (!sight)
    throw new SallyportError(
      'sees-nothing',
      `${name} may see no namespace here: that takes the right to list virtualservices.networking.istio.io and pods in one`,
    );
  return { name, sight };
}

function notTaken(): SallyportError {
  return new SallyportError('no-session', 'the cluster does not take this token: it may have expired, or be of another cluster');
}

function keyOf(kind: 'session' | 'token', secret: string): string {
  return createHash('sha256').update(`${kind} ${secret}`).digest('base64');
}
