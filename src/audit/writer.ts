/**
 * Writes a chain. A line is acknowledged once `append` has returned: then it is on the disk (fdatasync), and so is all before it. What fails leaves the chain as it
 * was. One at a time: nothing is called while a promise of another call is open.
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { canonical, type Entry, FORMAT, hashOf, lineText, signedBytes } from './chain/line.ts';
import type { Head } from './chain/verify.ts';
import { BEGINNING, type ChainEnd, endOfChain, segmentPath } from './chain-files.ts';
import { lockFolder } from './lock.ts';
import type { Signer } from './signer.ts';

export interface WriterOptions {
  readonly folder: string;
  readonly signer: Signer;
  /** A segment is ended once it has so many bytes, or is so many ms old. */
  readonly rotateBytes: number;
  readonly rotateMs: number;
  /** What writes. */
  readonly product: string;
  /** Now, in ms since the epoch. */
  readonly date: () => number;
  /** By a clock that nobody sets, ms: for the age of a segment. */
  readonly now: () => number;
}

interface OpenSegment {
  readonly fd: number;
  readonly began: number;
  /** Of what is acknowledged. */
  size: number;
  /** Bytes that are not acknowledged may stand after them. */
  dirty: boolean;
}

export class ChainWriter {
  readonly #options: WriterOptions;
  #head: Head;
  #number: number;
  #cut: ChainEnd['cut'];
  #after: 'start' | 'restart' | 'rotation';
  #segment: OpenSegment | undefined;
  /** Lines since the last signature. */
  #unsigned = 0;

  readonly #lock: number;
  /** The locked folder itself, whatever stands at its path by now. */
  readonly #folder: string;
  /** Why what was there before is not as it was written; undefined where it is. */
  readonly damage: string | undefined;

  /** Nothing is written yet. Throws `audit-in-use`, and what reading the folder throws. */
  constructor(options: WriterOptions) {
    this.#options = options;
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    this.#lock = lockFolder(options.folder);
    const own = `/proc/self/fd/${this.#lock}`;
    this.#folder = existsSync(own) ? own : options.folder;
    const { head, segment, cut, changed } = endOfChain(options.folder);
    if (changed)
      this.damage = `the last segment in ${options.folder} was changed: sallyport audit verify says where. The chain goes on after it`;
    this.#head = head ?? BEGINNING;
    this.#number = segment;
    this.#cut = cut;
    this.#after = segment === 0 ? 'start' : 'restart';
  }

  /** The last line that is acknowledged. */
  get head(): Head {
    return this.#head;
  }

  get segment(): number {
    return this.#number;
  }

  /** Lines that no signature covers yet. */
  get unsigned(): number {
    return this.#unsigned;
  }

  /** Entries in canonical form. Throws what writing throws; then none of them is in the chain. */
  append(entries: readonly string[]): void {
    const segment = this.#segment ?? this.#open();
    this.#write(segment, entries);
  }

  /** Signs all that is there. `end`: nothing follows. Rejects with why it is not signed. */
  async sign(end = false): Promise<void> {
    const segment = this.#segment ?? this.#open();
    const { signer, date } = this.#options;
    const unsigned: Entry = { kind: 'signature', key: signer.id, time: textOf(date()), ...(end && { end }) };
    const line = { entry: unsigned, prev: this.#head.hash, seq: this.#head.seq + 1 };
    const signature = await signer.sign(signedBytes(line));
    this.#write(segment, [canonical({ ...unsigned, signature })]);
    this.#unsigned = 0;
  }

  /** Ends the segment with a signature if it has its size or age. */
  async rotate(): Promise<void> {
    const segment = this.#segment;
    const { rotateBytes, rotateMs, now } = this.#options;
    if (!segment || (segment.size < rotateBytes && now() - segment.began < rotateMs)) return;
    if (this.#unsigned > 0) await this.sign();
    closeSync(segment.fd);
    this.#segment = undefined;
    this.#after = 'rotation';
  }

  close(): void {
    if (this.#segment) closeSync(this.#segment.fd);
    this.#segment = undefined;
    closeSync(this.#lock);
  }

  #open(): OpenSegment {
    const { signer, product, date, now } = this.#options;
    this.#checkFolder();
    const number = this.#number + 1;
    const path = segmentPath(this.#folder, number);
    const segment: OpenSegment = { fd: openSync(path, 'wx', 0o600), began: now(), size: 0, dirty: false };
    const entry: Entry = {
      kind: 'segment',
      after: this.#after,
      cut: this.#cut,
      format: FORMAT,
      product,
      publicKey: signer.publicKey,
      segment: number,
      time: textOf(date()),
    };
    const [head, unsigned] = [this.#head, this.#unsigned];
    try {
      this.#write(segment, [canonical(entry)]);
      // The name of a new file, too, is to outlive the machine.
      fsyncSync(this.#lock);
    } catch (error) {
      // Nothing in it is acknowledged.
      closeSync(segment.fd);
      rmSync(path, { force: true });
      this.#head = head;
      this.#unsigned = unsigned;
      throw error;
    }
    this.#number = number;
    this.#cut = undefined;
    this.#segment = segment;
    return segment;
  }

  #write(segment: OpenSegment, entries: readonly string[]): void {
    let { hash, seq } = this.#head;
    let text = '';
    for (const entry of entries) {
      const line = lineText(entry, hash, ++seq);
      hash = hashOf(line);
      text += `${line}\n`;
    }
    const bytes = Buffer.from(text);
    this.#checkSegment(segment);
    if (segment.dirty) ftruncateSync(segment.fd, segment.size);
    segment.dirty = true;
    for (let at = 0; at < bytes.length; ) at += writeSync(segment.fd, bytes, at, bytes.length - at, segment.size + at);
    fdatasyncSync(segment.fd);
    this.#checkSegment(segment);
    segment.dirty = false;
    segment.size += bytes.length;
    this.#head = { seq, hash };
    this.#unsigned += entries.length;
  }

  /** A file that nobody finds any more takes lines as before. Throws where what is acknowledged was taken away; the next file follows. */
  #checkSegment(segment: OpenSegment): void {
    const { nlink, size } = fstatSync(segment.fd);
    if (nlink > 0 && size >= segment.size) return;
    if (segment === this.#segment) {
      closeSync(segment.fd);
      this.#segment = undefined;
      this.#after = 'rotation';
    }
    throw new Error(`segment ${this.#number} was ${nlink > 0 ? 'cut' : 'removed'} while it was written`);
  }

  /** Another folder at the same path has nothing of this chain, and no lock. */
  #checkFolder(): void {
    const { folder } = this.#options;
    const own = fstatSync(this.#lock);
    const there = statSync(folder);
    if (own.ino !== there.ino || own.dev !== there.dev)
      throw new Error(`another folder has taken the place of ${folder}: put the first one back, or start anew`);
  }
}

export function textOf(ms: number): string {
  return new Date(ms).toISOString();
}
