/**
 * Asks the thread that answers. Questions can take long, and neither traffic nor the control plane is to wait for them: they have a thread of their own, which
 * starts with the first question, has bounded memory, answers one question after another, and is ended where an answer takes too long or nobody wants it any more.
 */
import { Worker } from 'node:worker_threads';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import type { Answers, FromThread, Question, Subject, ToThread } from './question.ts';

/** From this folder of the sources; in the build all files are in one. */
const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './console-thread.js', import.meta.url);

const MOST_WAITING = 16;
const LONGEST_MS = 120_000;
/** Of the thread's heap. */
const MOST_MEGABYTES = 2_048;
/** A thread that nobody asked anything for so long is ended, ms: it holds a copy of the configuration. */
const IDLE_MS = 300_000;

export interface AskOptions {
  /** Nobody waits for the answer any more. */
  readonly signal?: AbortSignal;
  /** Told how many calls were judged so far. */
  readonly progress?: (done: number) => void;
}

/** What questions are about now. The same version is the same subject. */
export interface Asked {
  readonly version: string;
  subject(): Subject;
}

interface Waiting {
  readonly question: Question;
  readonly options: AskOptions;
  readonly resolve: (answer: Answers[keyof Answers]) => void;
  readonly reject: (error: unknown) => void;
}

export class Asker {
  readonly #now: () => Asked;
  readonly #longestMs: number;
  readonly #queue: Waiting[] = [];
  #running: Waiting | undefined;
  #thread: { readonly worker: Worker; version: string | undefined } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param now what is to be asked about; rejects questions with what it throws */
  constructor(now: () => Asked, { longestMs = LONGEST_MS }: { readonly longestMs?: number } = {}) {
    this.#now = now;
    this.#longestMs = longestMs;
  }

  /** Rejects with `busy`, `took-too-long`, `cancelled`, `out-of-memory`, or what the question itself ends with. */
  ask<Q extends Question>(question: Q, options: AskOptions = {}): Promise<Answers[Q['kind']]> {
    if (this.#closed) return Promise.reject(new SallyportError('closed', 'the console ends'));
    if (this.#queue.length >= MOST_WAITING)
      return Promise.reject(new SallyportError('busy', `${MOST_WAITING} questions wait already, which is as many as may: ask again later`));
    return new Promise<Answers[Q['kind']]>((resolve, reject) => {
      const waiting: Waiting = { question, options, resolve: resolve as Waiting['resolve'], reject };
      if (options.signal?.aborted) {
        reject(cancelled());
        return;
      }
      options.signal?.addEventListener('abort', () => this.#cancel(waiting), { once: true });
      this.#queue.push(waiting);
      this.#next();
    });
  }

  close(): void {
    this.#closed = true;
    const error = new SallyportError('closed', 'the console ends');
    for (const { reject } of this.#queue.splice(0)) reject(error);
    this.#abandon(error);
    clearTimeout(this.#timer);
  }

  #next(): void {
    if (this.#running || this.#closed) return;
    clearTimeout(this.#timer);
    const waiting = this.#queue.shift();
    if (!waiting) {
      this.#timer = setTimeout(() => this.#end(), IDLE_MS).unref();
      return;
    }
    this.#running = waiting;
    const seconds = this.#longestMs / 1000;
    this.#timer = setTimeout(
      () =>
        this.#abandon(
          new SallyportError('took-too-long', `there is no answer after ${seconds} s: ask the command line, which takes its time`),
        ),
      this.#longestMs,
    ).unref();
    try {
      this.#thread ??= { worker: this.#start(), version: undefined };
      const thread = this.#thread;
      const asked = this.#now();
      const send = (message: ToThread) => thread.worker.postMessage(message);
      if (thread.version !== asked.version) send({ kind: 'subject', subject: asked.subject() });
      thread.version = asked.version;
      send({ kind: 'ask', question: waiting.question });
    } catch (error) {
      this.#settle(({ reject }) => reject(error));
    }
  }

  #start(): Worker {
    const worker = new Worker(ENTRY, {
      name: 'sallyport-console',
      stdout: false,
      stderr: false,
      resourceLimits: { maxOldGenerationSizeMb: MOST_MEGABYTES },
    });
    worker.unref();
    worker.on('message', (message: FromThread) => {
      if (this.#thread?.worker !== worker) return;
      if (message.kind === 'progress') this.#running?.options.progress?.(message.done);
      else if (message.kind === 'answer') this.#settle(({ resolve }) => resolve(message.answer));
      else this.#settle(({ reject }) => reject(new SallyportError(message.code, message.message)));
    });
    worker.on('error', (cause) => {
      if (this.#thread?.worker !== worker) return;
      const full = 'code' in cause && cause.code === 'ERR_WORKER_OUT_OF_MEMORY';
      const why = full
        ? `the answer needs more than ${MOST_MEGABYTES} MB of memory: ask the command line`
        : `the question ended with an error of its own: ${messageOf(cause)}`;
      this.#abandon(new SallyportError(full ? 'out-of-memory' : 'internal', why, { cause }));
    });
    return worker;
  }

  #cancel(waiting: Waiting): void {
    const place = this.#queue.indexOf(waiting);
    if (place >= 0) this.#queue.splice(place, 1);
    if (this.#running === waiting) this.#abandon(cancelled());
    else waiting.reject(cancelled());
  }

  /** Ends the thread, as nothing else ends what it does. */
  #abandon(error: unknown): void {
    this.#end();
    if (this.#running) this.#settle(({ reject }) => reject(error));
  }

  #settle(how: (waiting: Waiting) => void): void {
    const waiting = this.#running;
    this.#running = undefined;
    if (waiting) how(waiting);
    this.#next();
  }

  #end(): void {
    void this.#thread?.worker.terminate();
    this.#thread = undefined;
  }
}

function cancelled(): SallyportError {
  return new SallyportError('cancelled', 'nobody waits for the answer any more');
}
