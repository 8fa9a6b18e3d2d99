/** Resuming TLS sessions: the keys of the tickets that clients get, and the sessions that upstreams gave. */
import { createHmac, randomBytes } from 'node:crypto';

/** For so long after a full handshake its session may be resumed, by whatever tickets came of it; then the peer is verified anew. Milliseconds. */
export const SESSION_MS = 3_600_000;

/** Of the ticket keys: as long, so that no chain of tickets outlasts what `SESSION_MS` says. Seconds. */
const PERIOD_S = SESSION_MS / 1000;

/** What a thread makes the same ticket keys of as another. */
export interface TicketSeed {
  readonly secret: Uint8Array;
  readonly period: number;
}

/**
 * What the keys of tickets are made of, the same in all threads of a process. Each hour it is replaced by what follows from it, and nothing leads back: tickets of an
 * earlier hour open nowhere, and who reads this memory later can't open what was recorded. It is in memory alone.
 */
export class TicketSecret {
  #secret: Uint8Array;
  #period: number;
  readonly #seconds: () => number;

  /** @param seconds a clock that only goes forward, the same in all threads */
  constructor(seed?: TicketSeed, seconds = () => process.hrtime()[0]) {
    this.#seconds = seconds;
    this.#secret = seed?.secret ?? randomBytes(32);
    this.#period = seed?.period ?? this.#now();
  }

  /** Which hour it is. */
  get period(): number {
    const now = this.#now();
    for (; this.#period < now; this.#period++) this.#secret = createHmac('sha256', this.#secret).update('next').digest();
    return this.#period;
  }

  get seed(): TicketSeed {
    return { period: this.period, secret: new Uint8Array(this.#secret) };
  }

  /** 48 bytes, as OpenSSL takes them: the key's name, for the code of authentication, for the cipher. */
  key(context: string): Buffer {
    return createHmac('sha384', this.seed.secret).update(context).digest();
  }

  #now(): number {
    return Math.floor(this.#seconds() / PERIOD_S);
  }
}

export interface KeptSession {
  readonly session: Buffer;
  /** When its peer is to be verified anew; milliseconds since 1970. */
  readonly until: number;
}

/** Of one host: few contexts and names are in use with it at a time. */
const MOST_SESSIONS = 8;

/** The newest session with one host for each key, which stands for all that was verified. */
export class KeptSessions {
  readonly #byKey = new Map<string, KeptSession>();

  find(key: string): KeptSession | undefined {
    const found = this.#byKey.get(key);
    if (found && found.until <= Date.now()) {
      this.#byKey.delete(key);
      return undefined;
    }
    return found;
  }

  keep(key: string, kept: KeptSession): void {
    this.#byKey.delete(key);
    this.#byKey.set(key, kept);
    if (this.#byKey.size <= MOST_SESSIONS) return;
    const [oldest] = this.#byKey.keys();
    this.#byKey.delete(oldest!);
  }
}
