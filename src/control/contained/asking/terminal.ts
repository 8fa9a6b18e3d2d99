/**
 * Puts questions at the terminal from which a run was started. The command may read from that terminal as well, so it is stopped while a question stands, as by
 * Ctrl-Z, and the terminal is put into its usual mode and back. Where the run is not in the terminal's foreground, as the command has jobs of its own there, nothing
 * is asked at it.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { printableLine } from '../../../lib/printable.ts';
import { table } from '../../../lib/table.ts';
import { isForeground } from '../../../sandbox/signals.ts';
import { usualMode } from '../../../sandbox/terminal-mode.ts';
import type { Decision, Question } from './questions.ts';

const TERMINAL = '/dev/tty';
/** What was typed before it was asked is no answer to it: input that comes within this time, ms, was there. */
const TYPED_AHEAD_MS = 50;
/**
 * What the command has written may hide what is written after it. Ends a sequence that has no end (CAN, ST); then colours, margins, character sets and the like are
 * as at first (DECSTR, SGR, G0), and what stands below is erased (ED).
 */
const FRESH = '\x18\x1b\\\x1b[!p\x1b[0m\x1b(B\x0f\r\n\x1b[J';
const UNITS: Readonly<Record<string, number | undefined>> = table({ s: 1000, m: 60_000, h: 3_600_000 });

export interface TerminalOptions {
  /** Stops the command; what is returned has it go on. */
  readonly pause: () => () => void;
  /** Whether a grant for a time can be recorded. */
  readonly canGrant: boolean;
  readonly timeoutMs: number;
  readonly say: (line: string) => void;
}

/** Whether there is a terminal to ask at. */
export function hasTerminal(): boolean {
  try {
    closeSync(openSync(TERMINAL, 'r+'));
    return isForeground();
  } catch {
    return false;
  }
}

/** Resolves with what was decided; undefined where the question was withdrawn, or the terminal went away. */
export async function askAtTerminal(question: Question, signal: AbortSignal, options: TerminalOptions): Promise<Decision | undefined> {
  if (!isForeground()) return elsewhere(question, signal, options);
  const terminal = openSync(TERMINAL, 'r+');
  let goOn = options.pause();
  // The shell's `fg` continues all of the job.
  const continued = () => {
    goOn();
    goOn = options.pause();
  };
  process.on('SIGCONT', continued);
  let putBack = () => {};
  try {
    putBack = usualMode(terminal);
    return await answerTo(question, signal, options);
  } finally {
    process.off('SIGCONT', continued);
    putBack();
    closeSync(terminal);
    goOn();
  }
}

/** The terminal is another job's. */
async function elsewhere({ host, ports }: Question, signal: AbortSignal, { canGrant, say }: TerminalOptions): Promise<undefined> {
  const who = printableLine(`${host}:${ports.join()}`);
  if (!canGrant) {
    say(`${who} is refused: the terminal is not free to ask, and without --grants nobody can allow it elsewhere`);
    return undefined;
  }
  say(`${who} waits to be allowed, and the terminal is not free to ask: sallyport grant allows it`);
  await new Promise((resolve) => (signal.aborted ? resolve(undefined) : signal.addEventListener('abort', resolve)));
  return undefined;
}

async function answerTo(question: Question, signal: AbortSignal, options: TerminalOptions): Promise<Decision | undefined> {
  const fd = openSync(TERMINAL, 'r+');
  const lines = new Lines(fd);
  // Whoever ends the run has answered.
  const interrupted = () => lines.end();
  process.on('SIGINT', interrupted);
  signal.addEventListener('abort', interrupted);
  try {
    await lines.discard(TYPED_AHEAD_MS);
    for (;;) {
      writeSync(fd, questionText(question, options));
      const line = await lines.next();
      if (line === undefined) {
        writeSync(fd, signal.aborted ? '\nsallyport: nobody answered in time, or it was granted elsewhere\n' : '\n');
        return signal.aborted ? undefined : 'deny';
      }
      const decision = decisionOf(line, options.canGrant);
      if (decision) return decision;
    }
  } finally {
    process.off('SIGINT', interrupted);
    signal.removeEventListener('abort', interrupted);
    lines.end();
  }
}

function questionText({ host, ports, by }: Question, { canGrant, timeoutMs }: TerminalOptions): string {
  const who = by ? `${by.command} (pid ${by.pid})` : 'the command';
  const forTime = canGrant ? 'a time such as 1h to allow it for so long, as a grant; ' : '';
  return (
    `${FRESH}sallyport: ${printableLine(`${who} calls ${host}:${ports.join()}`)}, which nothing allows\n` +
    `sallyport: r to allow it for this run; ${forTime}d to deny it (refused after ${timeoutMs / 1000} s): `
  );
}

function decisionOf(line: string, canGrant: boolean): Decision | undefined {
  const word = line.trim().toLowerCase();
  if (word === 'r') return 'run';
  if (word === 'd') return 'deny';
  const time = canGrant ? /^(\d{1,5})([smh])$/.exec(word) : null;
  return time ? { forMs: Number(time[1]) * UNITS[time[2]!]! } : undefined;
}

/** What is typed, line by line. */
class Lines {
  readonly #stream: ReadStream;
  #text = '';
  #over = false;
  #wake: () => void = () => undefined;

  constructor(fd: number) {
    this.#stream = new ReadStream(fd);
    this.#stream.setEncoding('utf8').on('data', (piece: string) => {
      this.#text += piece;
      this.#wake();
    });
    for (const event of ['end', 'error', 'close']) this.#stream.on(event, () => this.end());
  }

  async discard(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.#text = '';
  }

  /** Undefined once nothing comes any more. */
  async next(): Promise<string | undefined> {
    for (;;) {
      const end = this.#text.indexOf('\n');
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      if (this.#over) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stream.destroy();
    this.#wake();
  }
}
