/**
 * Who gets in: whoever has the one-time token that stands in the address which the terminal printed. It becomes a cookie, and there is a new token then, for
 * another browser. Both are compared and kept as hashes.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { cookieIn } from './cookies.ts';

/** The oldest is forgotten when another comes. */
const MOST_SESSIONS = 64;
/** A cookie is worth nothing after so long, ms. */
const SESSION_MS = 12 * 60 * 60 * 1000;

export class Entry {
  readonly #now: () => number;
  #token = randomBytes(32).toString('base64url');
  /** Hashes of session ids, with when each ends; the oldest first. */
  readonly #sessions = new Map<string, number>();

  /** @param now in ms */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** The one that the next browser gets in with. */
  get token(): string {
    return this.#token;
  }

  /** The id of a new session for the right token, which is worth nothing from then on; undefined for any other. */
  redeem(token: string): string | undefined {
    if (!timingSafeEqual(digest(token), digest(this.#token))) return undefined;
    this.#token = randomBytes(32).toString('base64url');
    const session = randomBytes(32).toString('base64url');
    this.#sessions.set(keyOf(session), this.#now() + SESSION_MS);
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > MOST_SESSIONS) this.#sessions.delete(oldest!);
    return session;
  }

  /** Whether a request has a cookie of this name that is one of a session. */
  admits(headers: IncomingHttpHeaders, name: string): boolean {
    return cookieIn(headers, name).some((session) => {
      const until = this.#sessions.get(keyOf(session));
      return until !== undefined && this.#now() < until;
    });
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function keyOf(session: string): string {
  return digest(session).toString('base64');
}
