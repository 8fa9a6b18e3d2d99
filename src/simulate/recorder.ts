/** Collects what a proxy does with a call, step by step. */
import type { OnResponse } from './response.ts';
import type { Hop, Outcome, Step } from './trace.ts';

export interface HopResult {
  readonly hop: Hop;
  /** Undefined where the call goes on to `hop.next`. */
  readonly outcome: Outcome | undefined;
  /** What the proxy does to the response, be it its own or another's; undefined where it takes the call for bytes. */
  readonly onResponse: OnResponse | undefined;
}

/** Of a secret that the files lack. */
export const ASSUMED = 'is not among the files, and taken to be in the cluster';

export class Recorder {
  readonly steps: Step[] = [];
  protocol: Hop['protocol'];
  /** Neither the listener nor the filter chain asks where the connection was going. */
  anyAddress = false;
  cluster = '';
  copy = false;
  demandsCertificate = false;
  waitsOn: number | undefined;
  /** In the order in which they are done. */
  readonly changes: OnResponse[] = [];
  readonly proxy: string;

  constructor(proxy: string) {
    this.proxy = proxy;
  }

  step(kind: Step['kind'], name: string, text: string, origins: Step['origins'] = []): void {
    this.steps.push({ kind, name, text, origins });
  }

  end(flag: string, outcome: Outcome): HopResult {
    return { hop: this.#hop(flag, undefined), outcome, onResponse: this.#onResponse() };
  }

  closed(flag: string, details: string): HopResult {
    return this.end(flag, { kind: 'closed', details });
  }

  reply(status: number, flag: string, details: string, location?: string): HopResult {
    return this.end(flag, { kind: 'reply', status, location, details });
  }

  undecided(details: string): HopResult {
    return this.end('', { kind: 'undecided', details });
  }

  goOn(next: NonNullable<Hop['next']>): HopResult {
    return { hop: this.#hop('', next), outcome: undefined, onResponse: this.#onResponse() };
  }

  #hop(flag: string, next: Hop['next']): Hop {
    const { proxy, protocol, steps, cluster, copy, demandsCertificate, waitsOn } = this;
    const more = { ...(demandsCertificate && { demandsCertificate }), ...(waitsOn !== undefined && { waitsOn }) };
    return { proxy, protocol, steps, cluster, copy, ...more, flag, next };
  }

  #onResponse(): OnResponse | undefined {
    if (this.protocol !== 'http') return undefined;
    return (response) => {
      for (const change of this.changes) change(response);
    };
  }
}
