/** The record of `up --learn`: a file that the sidecar appends to and this process reads. */
import { closeSync, mkdtempSync, openSync, readSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface RecordOptions {
  /** Bytes beyond which the record goes on in a new file, as nobody needs what has been read. */
  readonly longest: number;
  /** Has those who write open the path anew. */
  readonly reopen: () => void;
}

export class CallRecord {
  /** Readable by its owner alone. */
  readonly path: string;
  readonly #options: RecordOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), 'sallyport-learn-'));
  /** The files that may still grow: the present one last. */
  #files: GrowingFile[];
  readonly #remove = () => rmSync(this.#folder, { recursive: true, force: true });

  constructor(options: RecordOptions) {
    this.#options = options;
    this.path = join(this.#folder, 'record');
    writeFileSync(this.path, '');
    this.#files = [new GrowingFile(this.path)];
    // Also where a second signal ends the process at once.
    process.on('exit', this.#remove);
  }

  /** The lines that have come since the last time. */
  *lines(): Generator<string> {
    for (const file of this.#files) yield* file.lines();
    const present = this.#files.at(-1)!;
    if (present.size <= this.#options.longest) return;
    // The one before the last: those who wrote it have long opened the present one.
    for (const old of this.#files.slice(0, -1)) old.close();
    renameSync(this.path, `${this.path}.old`);
    unlinkSync(`${this.path}.old`);
    writeFileSync(this.path, '', { flag: 'wx' });
    this.#files = [present, new GrowingFile(this.path)];
    this.#options.reopen();
  }

  close(): void {
    for (const file of this.#files) file.close();
    this.#files = [];
    this.#remove();
    process.off('exit', this.#remove);
  }
}

class GrowingFile {
  readonly #fd: number;
  readonly #decoder = new TextDecoder();
  #rest = '';
  /** Bytes read. */
  size = 0;

  constructor(path: string) {
    this.#fd = openSync(path, 'r');
  }

  /** Whole lines only: the rest of one comes with the next look. */
  *lines(): Generator<string> {
    const piece = Buffer.allocUnsafe(64 * 1024);
    for (;;) {
      const count = readSync(this.#fd, piece, 0, piece.length, this.size);
      if (count === 0) return;
      this.size += count;
      const lines = (this.#rest + this.#decoder.decode(piece.subarray(0, count), { stream: true })).split('\n');
      this.#rest = lines.pop()!;
      yield* lines;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
