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

export class DataPlaneFlows implements RecordSink {
  readonly #options: FlowSourceOptions;
  #deliver: FlowDelivery | undefined;
  /** Where not all calls need be told. */
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

  /** From now on flows go there, or nowhere. @param leftOut not all of many need be told: told of those that are not */
  watch(deliver: FlowDelivery | undefined, leftOut?: (count: number) => void): void {
    this.#pace = leftOut && new FlowPace(this.#options.now(), leftOut);
    if (deliver && !this.#deliver) {
      this.#since = this.#options.now();
      this.#begun = new WeakMap();
    }
    this.#deliver = deliver;
  }

  begin(record: AccessRecord): void {
    if (this.#deliver === undefined || this.#pace?.begins(this.#options.now()) === false) return;
    this.#begin(record, this.#deliver);
  }

  #begin(record: AccessRecord, deliver: FlowDelivery): void {
    const id = String(++this.#ids);
    this.#begun.set(record, id);
    deliver(beginOf(record, id, this.#options));
  }

  /** The end. What was decided before the call got anywhere begins here; what began before anybody watched only ends. */
  record(record: AccessRecord): void {
    const deliver = this.#told(record) ? this.#deliver : undefined;
    const { audit } = this.#options;
    if (deliver === undefined && audit === undefined) {
      const told = toldOf(record);
      const id = ++this.#ids;
      this.#recent.add(() => endOf(told, String(id), this.#options));
      return;
    }
    if (deliver && !this.#begun.has(record) && record.started >= this.#since) this.#begin(record, deliver);
    const end = endOf(record, this.#begun.get(record) ?? String(++this.#ids), this.#options);
    this.#recent.add(() => end);
    audit?.(end);
    deliver?.(end);
  }

  #told(record: AccessRecord): boolean {
    const pace = this.#pace;
    if (!pace || this.#begun.has(record)) return true;
    return pace.ends(this.#options.now(), record.upstreamHost !== undefined && record.flags.length === 0);
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
    this.#deliver?.({ kind: 'begin', ...call });
    this.#deliver?.(end);
  }
}
