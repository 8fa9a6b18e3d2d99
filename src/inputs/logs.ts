/** Access logs of files and stdin, line by line: of any length, gzipped or not. */
import { createReadStream, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { type LogRecord, parseLine } from '../learn/records.ts';
import { codeOf, messageOf, SallyportError } from '../lib/errors.ts';
import { checkRegular } from '../lib/regular-file.ts';

export interface LogProblem {
  readonly file: string;
  readonly line: number;
  readonly why: string;
  /** The line's beginning. */
  readonly text: string;
}

export interface LogReading {
  readonly lines: number;
  /** Lines that look like records but cannot be read, so that a call may be missing: how many, and the first few. */
  readonly damaged: { readonly count: number; readonly first: readonly LogProblem[] };
  /** Lines that are something else. */
  readonly foreign: { readonly count: number; readonly first: readonly LogProblem[] };
  /** Files that could not be read to their end, and why. */
  readonly unread: readonly string[];
}

/** Longer lines are skipped: no record is that long. */
const LONGEST_LINE = 1024 * 1024;
const MOST_SHOWN = 5;

/** Hands each record to `take`, in order. Reports what cannot be read, and goes on. Rejects with `path-not-found` or `usage` before it reads anything. */
export async function readLogs(paths: readonly string[], take: (record: LogRecord) => void): Promise<LogReading> {
  for (const path of paths) checkPath(path);
  const tally = { damaged: new Tally(), foreign: new Tally() };
  const unread: string[] = [];
  let lines = 0;
  for (const path of paths) {
    const file = path === '-' ? 'stdin' : path;
    let number = 0;
    try {
      for await (const line of linesOf(await opened(path))) {
        number++;
        if (line === undefined) {
          tally.damaged.add({ file, line: number, why: `it has more than ${LONGEST_LINE} characters`, text: '' });
        } else if (line.trim() !== '') {
          const parsed = parseLine(line);
          if (parsed.kind === 'record') take(parsed.record);
          else tally[parsed.kind].add({ file, line: number, why: parsed.why, text: line.slice(0, 120) });
        }
      }
    } catch (error) {
      unread.push(`${file}: after line ${number} it cannot be read further: ${messageOf(error)}`);
    }
    lines += number;
  }
  return { lines, ...tally, unread };
}

class Tally {
  count = 0;
  readonly first: LogProblem[] = [];

  add(problem: LogProblem): void {
    if (this.count++ < MOST_SHOWN) this.first.push(problem);
  }
}

function checkPath(path: string): void {
  if (path === '-') return;
  try {
    const stats = statSync(path);
    if (stats.isDirectory()) throw new SallyportError('usage', `${path} is a folder: name the log files in it.`);
    checkRegular(path, stats);
  } catch (error) {
    if (error instanceof SallyportError) throw error;
    if (codeOf(error) === 'ENOENT') throw new SallyportError('path-not-found', `there is no file ${path}`, { cause: error });
    throw new SallyportError('log-unreadable', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** The text of a file, whether it is gzipped (RFC 1952: it begins with 1f 8b) or not. */
async function opened(path: string): Promise<AsyncIterable<Buffer>> {
  const source: Readable = path === '-' ? process.stdin : createReadStream(path);
  const pieces = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const first = await pieces.next();
  const whole = (async function* () {
    if (!first.done) yield first.value;
    for (let next = await pieces.next(); !next.done; next = await pieces.next()) yield next.value;
  })();
  if (first.done || first.value[0] !== 0x1f || first.value[1] !== 0x8b) return whole;
  const compressed = Readable.from(whole);
  const plain = createGunzip();
  compressed.on('error', (error) => plain.destroy(error));
  return compressed.pipe(plain);
}

/** Lines without their ends; undefined for one that is too long. */
async function* linesOf(pieces: AsyncIterable<Buffer>): AsyncGenerator<string | undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  let skipping = false;
  for await (const piece of pieces) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      yield skipping || line.length > LONGEST_LINE ? undefined : line;
      skipping = false;
    }
    if (rest.length > LONGEST_LINE) {
      skipping = true;
      rest = '';
    }
  }
  if (skipping) yield undefined;
  else if (rest !== '') yield rest;
}
