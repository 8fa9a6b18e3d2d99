/**
 * What a data plane tells of its calls while somebody watches; made from what access logs are made from. Of the calls before, it remembers the last ones as the
 * records they are: making flows of all would cost a good part of what a proxied request does.
 */
import { type FlowDelivery, MOST_RECENT, type ProxyFlow } from '../flows/flow.ts';
import { Ring } from '../flows/ring.ts';
import { addressText } from '../lib/socket-address.ts';
import { beginOf, cut, endOf, type FlowNames, timeOf, toldOf } from './flow-of-call.ts';
import { FlowPace } from './flow-pace.ts';
import type { TurnedAway } from './observed.ts';
import type { AccessRecord, RecordSink } from './types.ts';

export interface FlowSourceOptions extends FlowNames {
  /** Milliseconds: monotonic, and since the epoch. */
  readonly now: () => number;
  readonly date: () => number;
  /** Takes the end of every call, whether or not somebody watches. */
  readonly audit?: ((flow: ProxyFlow) => void) | undefined;
}

/** For those who need not know of all calls, nor at once. */
export interface Sparing {
  /** Told of how many calls nothing is told. */
  readonly leftOut: (count: number) => void;
  /** Takes what makes a flow, to be called soon; of a call that is over by then only for its end. */
  readonly later: (id: string, make: () => ProxyFlow) => void;
}

export class DataPlaneFlows implements RecordSink {
  readonly #options: FlowSourceOptions;
  #deliver: FlowDelivery | undefined;
  #sparing: Sparing | undefined;
  #pace: FlowPace | undefined;
  /** Of calls that have begun while somebody watched. */
  #begun = new WeakMap<AccessRecord, string>();
  #since = 0;
  #ids = 0;
  /** Ends of calls. */
  readonly #recent = new Ring<() => ProxyFlow>(MOST_RECENT);

  constructor(options: FlowSourceOptions) {
    this.#options = options;
  }

  /** From now on flows go there, or nowhere. @param sparing takes them in place of `deliver`, which still has to be there */
  watch(deliver: FlowDelivery | undefined, sparing?: Sparing): void {
    this.#sparing = sparing;
    this.#pace = sparing && new FlowPace(this.#options.now(), sparing.leftOut);
    if (deliver && !this.#deliver) {
      this.#since = this.#options.now();
      this.#begun = new WeakMap();
    }
    this.#deliver = deliver;
  }

  begin(record: AccessRecord): void {
    if (this.#deliver === undefined || this.#pace?.begins(record.started) === false) return;
    this.#begin(record);
  }

  #begin(record: AccessRecord): void {
    const id = String(++this.#ids);
    this.#begun.set(record, id);
    this.#tell(id, () => beginOf(record, id, this.#options));
  }

  #tell(id: string, make: () => ProxyFlow): void {
    if (this.#sparing) this.#sparing.later(id, make);
    else this.#deliver?.(make());
  }

  /** The end. What was decided before the call got anywhere begins here; what began before anybody watched only ends. */
  record(record: AccessRecord): void {
    const isTold = this.#deliver !== undefined && this.#told(record);
    if (isTold && !this.#begun.has(record) && record.started >= this.#since) this.#begin(record);
    const id = this.#begun.get(record) ?? String(++this.#ids);
    const end = this.#endOf(record, id);
    this.#recent.add(end);
    if (isTold) this.#tell(id, end);
  }

  /** Made where it is wanted at once, and else when somebody asks. */
  #endOf(record: AccessRecord, id: string): () => ProxyFlow {
    const { audit } = this.#options;
    if (audit || (this.#deliver && !this.#sparing)) {
      const end = endOf(record, id, this.#options);
      audit?.(end);
      return () => end;
    }
    const told = toldOf(record);
    return () => endOf(told, id, this.#options);
  }

  #told(record: AccessRecord): boolean {
    const pace = this.#pace;
    if (!pace || this.#begun.has(record)) return true;
    return pace.ends(record.ended, record.upstreamHost !== undefined && record.flags.length === 0);
  }

  /** The ends of the last calls, oldest first. */
  get recent(): readonly ProxyFlow[] {
    return this.#recent.all.map((flow) => flow());
  }

  turnedAway({ verdict, protocol, host, port, client, reason, undeclared }: TurnedAway): void {
    const { workload } = this.#options;
    const call = {
      time: timeOf(this.#options.date()),
      id: String(++this.#ids),
      ...(workload !== undefined && { workload }),
      source: addressText(client),
      host: cut(host),
      port,
      protocol,
      ...(undeclared && { undeclared }),
    };
    const end = { kind: 'end', ...call, verdict, reason, bytesSent: 0, bytesReceived: 0, duration: 0 } as const;
    this.#recent.add(() => end);
    this.#options.audit?.(end);
    if (this.#pace?.ends(this.#options.now(), false) === false) return;
    this.#tell(call.id, () => ({ kind: 'begin', ...call }));
    this.#tell(call.id, () => end);
  }
}
