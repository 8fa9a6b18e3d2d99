/** What has come of a request's body while filters have the request. No more of it is read, unless a filter asks for it. */

import type { LocalReply } from '../../http/local-reply.ts';
import { own } from '../net/read-buffer.ts';
import type { DownstreamStream } from './contract.ts';

interface Reading {
  /** Bytes. */
  readonly most: number;
  /** Whether so many are enough; else there may be no more. */
  readonly partial: boolean;
  readonly done: (first: Buffer, more: boolean) => void;
  readonly refuse: (reply: LocalReply) => void;
}

/** What all requests of this thread may have held together, bytes: many at once are refused, however small the limit of each. */
export const MOST_TOGETHER = 128 * 1024 * 1024;
let together = 0;

const TOO_LARGE: LocalReply = { status: 413, body: 'Payload Too Large', details: 'request_payload_too_large', ofRoute: 'forward' };
const TOO_MANY: LocalReply = {
  status: 503,
  body: 'sallyport: too many bodies of requests are held at once',
  details: 'request_bodies_held_overflow',
  ofRoute: 'forward',
};

export class HeldBody {
  readonly #stream: Pick<DownstreamStream, 'pauseRequest' | 'resumeRequest'>;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #reading: Reading | undefined;

  constructor(stream: Pick<DownstreamStream, 'pauseRequest' | 'resumeRequest'>) {
    this.#stream = stream;
  }

  add(data: Buffer): void {
    this.#pieces.push(own(data));
    this.#bytes += data.length;
    together += data.length;
    if (this.#reading) this.#look(this.#reading, false);
    else this.#stream.pauseRequest();
  }

  end(): void {
    if (this.#reading) this.#look(this.#reading, true);
  }

  /** @param ended whether there is nothing to come */
  read(reading: Reading, ended: boolean): void {
    this.#reading = reading;
    this.#look(reading, ended);
    // What comes may come at once.
    if (this.#reading === reading && !ended) this.#stream.resumeRequest();
  }

  /** What has come, once, for whoever sends it on. It counts as held until the request is over, as what a slow server does not take stays. */
  handOver(): readonly Buffer[] {
    const pieces = this.#pieces;
    this.#pieces = [];
    return pieces;
  }

  /** The request is over. */
  release(): undefined {
    together -= this.#bytes;
    this.#bytes = 0;
    this.#reading = undefined;
  }

  #look(reading: Reading, ended: boolean): void {
    const { most, partial, done, refuse } = reading;
    const more = this.#bytes > most;
    const isFull = together > MOST_TOGETHER;
    if (!ended && !more && !isFull && !(partial && this.#bytes === most)) return;
    this.#reading = undefined;
    if (!ended) this.#stream.pauseRequest();
    if (more && !partial) refuse(TOO_LARGE);
    else if (isFull) refuse(TOO_MANY);
    else done(Buffer.concat(this.#pieces).subarray(0, most), more);
  }
}
