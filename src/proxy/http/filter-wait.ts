/** What a filter waits for while it holds a request: time, the answer of another server, or a credential. All of it ends with the request. */
import type { SideAnswer, SideCall } from '../../http/side-call.ts';
import type { AskedCredential } from '../../lib/contained.ts';
import type { Redacted } from '../../lib/redacted.ts';
import type { ManagerCore } from './contract.ts';
import { SideExchange } from './side-exchange.ts';
import { TimerEntry } from './timers.ts';

interface Hold {
  readonly timer: TimerEntry;
  readonly done: (over: boolean) => void;
}

export class FilterWait {
  readonly #core: ManagerCore;
  #hold: Hold | undefined;
  #side: SideExchange | undefined;
  #over = false;

  constructor(core: ManagerCore) {
    this.#core = core;
  }

  hold(ms: number, done: (over: boolean) => void): void {
    const timer = new TimerEntry(() => {
      this.#hold = undefined;
      done(false);
    });
    this.#hold = { timer, done };
    this.#core.timers.arm(timer, ms);
  }

  ask(call: SideCall, done: (answer: SideAnswer | undefined) => void): void {
    const side = new SideExchange(this.#core.deps, call, (answer) => {
      this.#side = undefined;
      done(answer);
    });
    this.#side = side;
    side.start();
  }

  credential(credential: AskedCredential, host: string, done: (value: Redacted | undefined) => void): void {
    const { credentials } = this.#core.deps;
    if (!credentials) done(undefined);
    else
      credentials.get(credential, host, (value) => {
        if (!this.#over) done(value);
      });
  }

  /** The request is over. */
  end(): void {
    this.#over = true;
    this.#side?.abandon();
    const hold = this.#hold;
    if (!hold) return;
    this.#hold = undefined;
    this.#core.timers.disarm(hold.timer);
    hold.done(true);
  }
}
