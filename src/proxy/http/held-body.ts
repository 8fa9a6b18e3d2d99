/** What has come of a request's body while filters have the request. No more of it is read, unless a filter asks for it. */

import { own } from '../net/read-buffer.ts';
import type { DownstreamStream } from './contract.ts';

interface Reading {
  /** Bytes. */
  readonly most: number;
  /** Whether so many are enough; else there may be no more. */
  readonly partial: boolean;
  readonly done: (first: Buffer, more: boolean) => void;
  readonly tooLarge: () => void;
}

export class HeldBody {
  readonly pieces: Buffer[] = [];
  readonly #stream: Pick<DownstreamStream, 'pauseRequest' | 'resumeRequest'>;
  #bytes = 0;
  #reading: Reading | undefined;

  constructor(stream: Pick<DownstreamStream, 'pauseRequest' | 'resumeRequest'>) {
    this.#stream = stream;
  }

  add(data: Buffer): void {
    this.pieces.push(own(data));
    this.#bytes += data.length;
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

  #look(reading: Reading, ended: boolean): void {
    const { most, partial, done, tooLarge } = reading;
    const more = this.#bytes > most;
    if (!ended && !more && !(partial && this.#bytes === most)) return;
    this.#reading = undefined;
    if (!ended) this.#stream.pauseRequest();
    if (more && !partial) tooLarge();
    else done(Buffer.concat(this.pieces).subarray(0, most), more);
  }
}
