/** What a contained command called, by host and port: counted, and said when a host is first refused. */

import { NOT_ALLOWED, type ObservedCall } from '../../lib/contained.ts';
import { printableLine } from '../../lib/printable.ts';
import { bracketed } from '../../lib/socket-address.ts';

export interface Called {
  readonly host: string;
  /** 0 where only the name was asked for. */
  readonly port: number;
  readonly verdict: ObservedCall['verdict'];
  readonly reason: string;
  /** The program that called first, where it could be found. */
  readonly by: Caller | undefined;
  count: number;
  bytesSent: number;
  bytesReceived: number;
  readonly first: string;
  last: string;
}

export interface Caller {
  readonly pid: number;
  readonly command: string;
}

/** Hosts beyond are counted together: a command may make up as many names as it likes. */
const MOST = 1000;
/** Hosts of which whoever called first is looked up: that reads /proc, for some 20 ms, in the thread that carries the calls. */
const MOST_LOOKED_UP = 100;
/** Hosts of which a line says that they are refused. */
const MOST_SAID = 20;

const SAID = { undeclared: 'would refuse', refused: 'refused', failed: 'not carried', unresolved: 'refused to look up' } as const;

export interface CallsOptions {
  readonly say: (line: string) => void;
  readonly callerOf: (client: ObservedCall['client']) => Caller | undefined;
  /** What allows calls to a host, as words for the command line. */
  readonly allowing: (target: { readonly host: string; readonly port: number }) => string;
  /** Where the host is allowed at this port, how calls have to be, as a clause: `--allow` would be no help to others. */
  readonly allowedAs?: (target: { readonly host: string; readonly port: number }) => string | undefined;
  /** Now, as ISO 8601. */
  readonly date: () => string;
}

export class Calls {
  readonly #options: CallsOptions;
  readonly #called = new Map<string, Called>();
  readonly #named = new Set<string>();
  #lookedUp = 0;
  /** Calls to hosts that are not kept apart. */
  others = 0;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  /** In the order in which they were first called. */
  get all(): readonly Called[] {
    return [...this.#called.values()];
  }

  /** So many calls were made of which nothing else is known. */
  missed(count: number): void {
    this.others += count;
  }

  add(call: ObservedCall): void {
    const { host, port, verdict, reason, client, notable = false } = call;
    const key = `${verdict} ${notable} ${reason === NOT_ALLOWED} ${port} ${host}`;
    const now = this.#options.date();
    let called = this.#called.get(key);
    if (!called) {
      if (this.#called.size >= MOST) {
        this.others++;
        return;
      }
      const by = verdict === 'allowed' || this.#lookedUp++ >= MOST_LOOKED_UP ? undefined : this.#options.callerOf(client);
      const otherwise = verdict === 'undeclared' || reason === NOT_ALLOWED ? this.#options.allowedAs?.(call) : undefined;
      called = { host, port, verdict, reason: otherwise ?? reason, by, count: 0, bytesSent: 0, bytesReceived: 0, first: now, last: now };
      this.#called.set(key, called);
      this.#tell(called, notable);
    }
    called.count++;
    called.last = now;
    called.bytesSent += call.bytesSent;
    called.bytesReceived += call.bytesReceived;
  }

  #tell({ host, port, verdict, reason, by }: Called, notable: boolean): void {
    if (verdict === 'allowed' || (verdict === 'failed' && !notable)) return;
    if (this.#named.has(host) && !notable) return;
    this.#named.add(host);
    if (this.#named.size > MOST_SAID) {
      if (this.#named.size === MOST_SAID + 1) this.#options.say('refused more hosts than are said here; --report FILE has them all');
      return;
    }
    const who = by ? ` (${by.command}, pid ${by.pid})` : '';
    const why = verdict === 'unresolved' || reason === '' ? NOT_ALLOWED : reason;
    const mend = why === NOT_ALLOWED ? `; to allow: ${this.#options.allowing({ host, port })}` : '';
    // Names are what the command made them.
    this.#options.say(printableLine(`${SAID[verdict]} ${where(host, port)}${who}: ${why}${mend}`));
  }
}

export function where(host: string, port: number): string {
  const name = bracketed(host);
  return port === 0 ? name : `${name}:${port}`;
}
