/** Log files: lines are gathered and written together, off the request's path; what does not fit into the bound is counted and dropped. */
import { close, fstatSync, openSync, write, writeSync } from 'node:fs';
import { codeOf, messageOf, SallyportError } from '../../lib/errors.ts';
import { table } from '../../lib/table.ts';
import { PendingLines } from './pending-lines.ts';

export interface LogFilesOptions {
  /** How long a line may wait, in ms; default 10. */
  readonly flushAfterMs?: number;
  /** Most bytes that wait for one file; default 8 Mi. A line beyond it is dropped. */
  readonly maxPending?: number;
  /** Told once a row of failures (a full disk), with the file and the reason. */
  readonly onError?: (path: string, reason: string) => void;
}

export interface LogWriter {
  /** Takes a line with its end. */
  write(line: string): void;
}

/** Bytes. */
const FLUSH_AT = 64 * 1024;

class LogFile implements LogWriter {
  readonly #path: string;
  readonly #options: Required<LogFilesOptions>;
  #fd: number;
  /** Most bytes of one write; lines of several threads and processes mix in a pipe beyond it. */
  #chunk: number;
  readonly #lines = new PendingLines();
  #busy = false;
  #timer: NodeJS.Timeout | undefined;
  /** Those who wait for lines that are not under way yet, and for those that are. */
  #waiting: (() => void)[] = [];
  #failing = false;
  dropped = 0;
  written = 0;

  constructor(path: string, options: Required<LogFilesOptions>) {
    this.#path = path;
    this.#options = options;
    this.#fd = openLog(path);
    this.#chunk = chunkOf(this.#fd);
  }

  write(line: string): void {
    const lines = this.#lines;
    if (lines.size + line.length > this.#options.maxPending) {
      this.dropped++;
      return;
    }
    lines.add(line);
    if (!this.#busy) this.#schedule();
  }

  /** Lines wait for others, also those that came while some were written: handing a batch to another thread costs more than a request, however few it has. */
  #schedule(): void {
    if (this.#lines.size >= FLUSH_AT) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), this.#options.flushAfterMs).unref();
  }

  /** Resolves once everything that was given before is written or has failed. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (!this.#busy) this.#start();
    });
  }

  #take(): Buffer {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.written += this.#lines.count;
    return this.#lines.take();
  }

  #start(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#busy = true;
    const bytes = this.#take();
    this.#send(this.#fd, bytes, () => {
      this.#busy = false;
      this.#lines.written(bytes);
      for (const resolve of waiting) resolve();
      if (this.#busy) return;
      if (this.#waiting.length > 0) this.#start();
      else if (this.#lines.count > 0) this.#schedule();
    });
  }

  #send(fd: number, bytes: Buffer, done: () => void): void {
    if (bytes.length === 0) {
      done();
      return;
    }
    write(fd, bytes, 0, this.#writable(bytes), null, (error, count) => {
      // A pipe that is full answers EAGAIN: the bytes keep their place and are tried again.
      if (error?.code === 'EAGAIN') {
        setTimeout(() => this.#send(fd, bytes, done), this.#options.flushAfterMs);
        return;
      }
      this.#report(error);
      // After another failure the batch is given up: its lines would only pile up.
      this.#send(fd, error ? EMPTY : bytes.subarray(count), done);
    });
  }

  /** How many bytes go in one write: whole lines where the file is a pipe. */
  #writable(bytes: Buffer): number {
    if (bytes.length <= this.#chunk) return bytes.length;
    const end = bytes.lastIndexOf(NEWLINE, this.#chunk - 1);
    if (end >= 0) return end + 1;
    const line = bytes.indexOf(NEWLINE, this.#chunk);
    return line < 0 ? bytes.length : line + 1;
  }

  #report(error: Error | null): void {
    if (error && !this.#failing) this.#options.onError(this.#path, messageOf(error));
    this.#failing = error !== null;
  }

  /** Opens the path anew; what was given before goes to the old file. Keeps the old one if the path cannot be opened. */
  async reopen(): Promise<void> {
    if (isStandard(this.#path)) return;
    await this.flush();
    let fd: number;
    try {
      fd = openLog(this.#path);
    } catch (error) {
      this.#options.onError(this.#path, messageOf(error));
      return;
    }
    const old = this.#fd;
    this.#fd = fd;
    this.#chunk = chunkOf(fd);
    // A write that has begun since still goes to the old one.
    if (this.#busy) this.#waiting.push(() => close(old, () => {}));
    else close(old, () => {});
  }

  /** Writes what is left before returning: for the end of the process. A write that is under way is not waited for. */
  closeSync(): void {
    let rest = this.#take();
    for (let tries = 0; rest.length > 0 && tries < 200; ) {
      try {
        rest = rest.subarray(writeSync(this.#fd, rest, 0, this.#writable(rest)));
      } catch (error) {
        if (codeOf(error) !== 'EAGAIN') {
          this.#report(error as Error);
          break;
        }
        // A full pipe: its reader gets a second in all.
        tries++;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      }
    }
    if (!isStandard(this.#path)) close(this.#fd, () => {});
  }
}

const NEWLINE = 10;
const EMPTY = Buffer.alloc(0);
/** PIPE_BUF of Linux: what a pipe takes as one piece. */
const PIPE_CHUNK = 4096;

function chunkOf(fd: number): number {
  try {
    return fstatSync(fd).isFile() ? Number.POSITIVE_INFINITY : PIPE_CHUNK;
  } catch {
    return PIPE_CHUNK;
  }
}

const STANDARD: Readonly<Record<string, number | undefined>> = table({ '/dev/stdout': 1, '/dev/stderr': 2 });
const isStandard = (path: string) => STANDARD[path] !== undefined;

function openLog(path: string): number {
  const standard = STANDARD[path];
  if (standard !== undefined) return standard;
  try {
    return openSync(path, 'a', 0o644);
  } catch (error) {
    throw new SallyportError('access-log-unwritable', `access log: cannot open ${path} for appending: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** All log files of a thread, by path. */
export class LogFiles {
  readonly #files = new Map<string, LogFile>();
  readonly #options: Required<LogFilesOptions>;

  constructor(options: LogFilesOptions = {}) {
    this.#options = {
      flushAfterMs: options.flushAfterMs ?? 10,
      maxPending: options.maxPending ?? 8 * 1024 * 1024,
      onError: options.onError ?? (() => {}),
    };
  }

  /** The writer of a path; `/dev/stdout` and `/dev/stderr` are the process's own. Throws `access-log-unwritable`. */
  open(path: string): LogWriter {
    let file = this.#files.get(path);
    if (!file) {
      file = new LogFile(path, this.#options);
      this.#files.set(path, file);
    }
    return file;
  }

  /** Lines that were dropped because too much waited, and lines handed to the system. */
  get counts(): { readonly dropped: number; readonly written: number } {
    let dropped = 0;
    let written = 0;
    for (const file of this.#files.values()) {
      dropped += file.dropped;
      written += file.written;
    }
    return { dropped, written };
  }

  async flush(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.flush()));
  }

  /** For log rotation: the process calls it on SIGUSR1. */
  async reopen(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.reopen()));
  }

  /** Writes everything that waits and closes; in an exit handler, where nothing asynchronous runs any more. */
  closeSync(): void {
    for (const file of this.#files.values()) file.closeSync();
    this.#files.clear();
  }
}
