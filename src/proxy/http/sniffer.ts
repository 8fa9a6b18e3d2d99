/** Tells HTTP/2 by its preface (RFC 9113, 3.4); as soon as the bytes differ from it, it is HTTP/1. */
import type { ManagerOptions } from '../../http/options.ts';
import { openTransport } from '../net/open.ts';
import { own, Reader } from '../net/read-buffer.ts';
import type { Transport, TransportEvents } from '../net/transport.ts';
import type { Downstream } from '../types.ts';
import { headLimit } from './server-timers.ts';
import { TimerEntry, type Timers } from './timers.ts';

export type Codec = 'http1' | 'http2';

/** A client's connection of which something was read. */
export interface Begun {
  readonly transport: Transport;
  /** What was read: to be worked off at once, as the memory is read into again. */
  readonly first: Buffer;
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Undefined as long as the bytes may become either. */
export function codecOf(seen: Buffer): Codec | undefined {
  const common = Math.min(seen.length, PREFACE.length);
  if (seen.compare(PREFACE, 0, common, 0, common) !== 0) return 'http1';
  return common === PREFACE.length ? 'http2' : undefined;
}

export class Sniffer implements TransportEvents {
  readonly #timers: Timers;
  readonly #options: ManagerOptions;
  readonly #done: (sniffer: Sniffer, codec: Codec | undefined) => void;
  readonly #transport: Transport;
  readonly #timeout: TimerEntry;
  #seen: Buffer = EMPTY;
  #over = false;

  /** `done`: once, with the codec, or undefined where the connection is over before it is known. */
  constructor(
    { socket, head }: Downstream,
    timers: Timers,
    options: ManagerOptions,
    done: (sniffer: Sniffer, codec: Codec | undefined) => void,
  ) {
    this.#timers = timers;
    this.#options = options;
    this.#done = done;
    this.#timeout = new TimerEntry(() => this.#giveUp());
    const reader = new Reader(this.#read);
    this.#transport = openTransport(socket, reader, this);
    reader.transport = this.#transport;
    if (head && head.length > 0) this.#keep(head);
    else if (options.idleMs > 0) timers.arm(this.#timeout, options.idleMs);
    this.#transport.resume();
  }

  /** For whoever takes the connection over, within `done`. */
  get begun(): Begun {
    return { transport: this.#transport, first: this.#seen };
  }

  ended(): void {
    this.#giveUp();
  }

  drained(): void {
    // Nothing is written.
  }

  closed(): void {
    this.#finish(undefined);
  }

  readonly #read = (data: Buffer): void => {
    if (this.#over) return;
    const seen = this.#seen.length > 0 ? Buffer.concat([this.#seen, data]) : data;
    const codec = codecOf(seen);
    if (codec === undefined) {
      this.#keep(seen);
      return;
    }
    this.#seen = seen;
    this.#finish(codec);
  };

  /** From the first byte on it is a head, and has no more time than one. */
  #keep(seen: Buffer): void {
    if (this.#seen.length === 0) this.#timers.arm(this.#timeout, headLimit(this.#options).ms);
    this.#seen = own(seen);
  }

  #giveUp(): void {
    this.#finish(undefined);
    this.#transport.destroy();
  }

  #finish(codec: Codec | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#timers.disarm(this.#timeout);
    this.#done(this, codec);
  }
}

const EMPTY = Buffer.alloc(0);
