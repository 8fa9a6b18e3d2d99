/**
 * Lets the connections of a thread begin their requests in turns. One read of an HTTP/2 connection may bring hundreds of requests, and hundreds of
 * connections may do so at once: begun as they come, they would hold everybody else up until the last of them is on its way.
 */

/** Requests of a connection that begin at once, in one turn of the event loop. */
const AT_ONCE = 8;
/** Requests that had to wait and begin in one turn, of all connections. */
const A_TURN = 64;

/** A request that waits for its turn. */
export interface Waiting {
  beginRequest(): void;
}

/** What one connection may begin. */
export interface Turn {
  /** Begins it now, or in a later turn of the event loop; in order. */
  take(request: Waiting): void;
}

class ConnectionTurn implements Turn {
  readonly #turns: Turns;
  /** The turn of the event loop in which it began some already, and how many. */
  #turn = -1;
  #begun = 0;
  readonly waiting: Waiting[] = [];

  constructor(turns: Turns) {
    this.#turns = turns;
  }

  take(request: Waiting): void {
    const turn = this.#turns.now();
    if (this.#turn !== turn) {
      this.#turn = turn;
      this.#begun = 0;
    }
    if (this.waiting.length === 0 && this.#begun < AT_ONCE) {
      this.#begun++;
      request.beginRequest();
      return;
    }
    this.waiting.push(request);
    if (this.waiting.length === 1) this.#turns.queue(this);
  }
}

export class Turns {
  readonly #later: (run: () => void) => void;
  #turn = 0;
  #scheduled = false;
  /** Connections with requests that wait; the first is the next to begin one. */
  #queue: ConnectionTurn[] = [];

  /** `later`: `setImmediate`, after which the event loop has looked at all sockets. */
  constructor(later: (run: () => void) => void) {
    this.#later = later;
  }

  connection(): Turn {
    return new ConnectionTurn(this);
  }

  /** The number of this turn of the event loop. */
  now(): number {
    this.#schedule();
    return this.#turn;
  }

  queue(connection: ConnectionTurn): void {
    this.#queue.push(connection);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#later(this.#run);
  }

  readonly #run = (): void => {
    this.#scheduled = false;
    this.#turn++;
    let left = A_TURN;
    while (left > 0 && this.#queue.length > 0) {
      // One of each, round by round.
      const round = this.#queue.splice(0, left);
      left -= round.length;
      const again: ConnectionTurn[] = [];
      for (const connection of round) {
        const request = connection.waiting.shift()!;
        if (connection.waiting.length > 0) again.push(connection);
        request.beginRequest();
      }
      this.#queue.push(...again);
    }
    if (this.#queue.length > 0) this.#schedule();
  };
}
