/** Questions about hosts that a command calls and nothing allows: one for a host, however many calls wait for it, and one after the other. */
import type { Asked, Asker, ObservedCall } from '../../../lib/contained.ts';
import { messageOf } from '../../../lib/errors.ts';
import { plainHost } from '../../../lib/hostname.ts';
import { isIp } from '../../../lib/ip.ts';
import type { Caller } from '../calls.ts';

/** What somebody decides: for this run, for so many ms, or not at all. */
export type Decision = 'run' | 'deny' | { readonly forMs: number };

export interface Question {
  readonly host: string;
  readonly ports: readonly number[];
  readonly by: Caller | undefined;
}

export interface QuestionsOptions {
  readonly timeoutMs: number;
  /** Puts a question to somebody; undefined: it was withdrawn. Without it only a grant from elsewhere answers. */
  readonly put?: ((question: Question, signal: AbortSignal) => Promise<Decision | undefined>) | undefined;
  /** Has what is allowed in force before it resolves. */
  readonly allow: (question: Question, decision: Exclude<Decision, 'deny'>) => Promise<void>;
  readonly say: (line: string) => void;
  readonly callerOf: (client: ObservedCall['client']) => Caller | undefined;
}

/** Hosts that are asked about at a time, and calls that wait; what comes beyond is refused. */
const MOST_QUESTIONS = 20;
const MOST_WAITING = 256;
/** Hosts that somebody denied, for the rest of the run. */
const MOST_DENIED = 1000;

/** A name of several labels. */
const NAME = /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;

interface Open {
  readonly host: string;
  readonly ports: Set<number>;
  readonly by: Caller | undefined;
  readonly over: PromiseWithResolvers<void>;
  readonly withdrawn: AbortController;
  waiting: number;
}

export class Questions implements Asker {
  readonly #options: QuestionsOptions;
  readonly #open = new Map<string, Open>();
  readonly #denied = new Set<string>();
  #waiting = 0;
  #asking = false;
  #full = false;

  constructor(options: QuestionsOptions) {
    this.#options = options;
  }

  get longestMs(): number {
    return this.#options.timeoutMs;
  }

  /** Names in full: not those of this network, and no patterns, which a command may write as well. */
  mayAsk(host: string): boolean {
    return NAME.test(host);
  }

  ask({ host: written, port }: { readonly host: string; readonly port: number }, client: ObservedCall['client']): Asked | undefined {
    const host = plainHost(written);
    if (this.#denied.has(host) || !askable(host)) return undefined;
    const question = this.#open.get(host) ?? this.#begin(host, client);
    if (!question || this.#waiting >= MOST_WAITING) return undefined;
    question.ports.add(port);
    question.waiting++;
    this.#waiting++;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, this.#options.timeoutMs);
    return {
      answered: Promise.race([question.over.promise, late.promise]),
      leave: () => {
        clearTimeout(timer);
        this.#waiting--;
        if (--question.waiting === 0) this.#end(question);
      },
    };
  }

  /** The run ends: nothing is waited for. */
  close(): void {
    for (const question of [...this.#open.values()]) this.#end(question);
  }

  #begin(host: string, client: ObservedCall['client']): Open | undefined {
    if (this.#open.size >= MOST_QUESTIONS) {
      if (!this.#full) this.#options.say(`more than ${MOST_QUESTIONS} hosts are asked about: others are refused meanwhile`);
      this.#full = true;
      return undefined;
    }
    this.#full = false;
    const over = Promise.withResolvers<void>();
    const by = this.#options.callerOf(client);
    const question: Open = { host, ports: new Set(), by, over, withdrawn: new AbortController(), waiting: 0 };
    this.#open.set(host, question);
    // With the ports of calls that come in the same turn.
    setImmediate(() => this.#announce(question));
    return question;
  }

  #announce(question: Open): void {
    const { put, say, timeoutMs } = this.#options;
    if (put) void this.#askNext();
    else {
      const { host, by, ports } = asQuestion(question);
      const who = by ? `${by.command} (pid ${by.pid})` : 'the command';
      say(
        `${who} waits for ${host}:${ports.join()}, for ${timeoutMs / 1000} s; to allow: sallyport grant ${host}:${ports[0]} --for 1h --reason TEXT`,
      );
    }
  }

  async #askNext(): Promise<void> {
    const [question] = this.#open.values();
    if (this.#asking || !question) return;
    this.#asking = true;
    try {
      const asked = asQuestion(question);
      const decision = await this.#options.put!(asked, question.withdrawn.signal);
      if (decision === 'deny') this.#deny(question.host);
      else if (decision !== undefined) await this.#options.allow(asQuestion(question), decision);
    } catch (error) {
      this.#options.say(`${question.host} is not allowed: ${messageOf(error)}`);
    }
    this.#end(question);
    this.#asking = false;
    void this.#askNext();
  }

  #deny(host: string): void {
    if (this.#denied.size < MOST_DENIED) this.#denied.add(host);
  }

  #end(question: Open): void {
    if (this.#open.get(question.host) === question) this.#open.delete(question.host);
    question.withdrawn.abort();
    question.over.resolve();
  }
}

/** Addresses as well; but nothing that would allow more than it names. */
function askable(host: string): boolean {
  return isIp(host) || NAME.test(host);
}

function asQuestion({ host, ports, by }: Open): Question {
  return { host, ports: [...ports].sort((a, b) => a - b), by };
}
