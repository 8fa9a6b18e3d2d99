/** Flows of the calls that go round the proxy: those to services of this machine that `--allow-local` names. */
import { type FlowDelivery, type FlowSource, MOST_RECENT, type ProxyFlow } from '../../flows/flow.ts';
import { Ring } from '../../flows/ring.ts';
import { addressText, type SocketAddress } from '../../lib/socket-address.ts';
import type { Relayed } from '../../sandbox/ports.ts';

export class RelayFlows implements FlowSource {
  readonly #workload: string;
  readonly #date: () => number;
  #deliver: FlowDelivery | undefined;
  #ids = 0;
  readonly #recent = new Ring<ProxyFlow>(MOST_RECENT);

  readonly #audit: FlowDelivery | undefined;

  /**
   * @param date now, in ms since the epoch
   * @param audit takes the end of every call
   */
  constructor(workload: string, date: () => number, audit?: FlowDelivery) {
    this.#workload = workload;
    this.#audit = audit;
    this.#date = date;
  }

  async watchFlows(deliver: FlowDelivery | undefined): Promise<void> {
    this.#deliver = deliver;
  }

  async recentFlows(): Promise<readonly ProxyFlow[]> {
    return this.#recent.all;
  }

  /** A connection to the service; what is returned is called at its end. */
  began(client: Relayed['client'], to: SocketAddress): (relayed: Relayed) => void {
    const started = this.#date();
    const id = String(++this.#ids);
    const call = this.#call(client, to);
    this.#tell({ kind: 'begin', time: new Date(started).toISOString(), id, ...call });
    return ({ failure, bytesSent, bytesReceived }) => {
      const ended = this.#date();
      const verdict = failure === '' ? 'allowed' : 'failed';
      const duration = Math.max(0, ended - started);
      const outcome = { verdict, ...(failure !== '' && { reason: failure }), bytesSent, bytesReceived, duration } as const;
      this.#tell({ kind: 'end', time: new Date(ended).toISOString(), id, ...call, ...outcome });
    };
  }

  /** A connection that is not let through. */
  refused(client: Relayed['client'], to: SocketAddress, reason: string): void {
    const outcome = { verdict: 'refused', reason, bytesSent: 0, bytesReceived: 0, duration: 0 } as const;
    const time = new Date(this.#date()).toISOString();
    this.#tell({ kind: 'end', time, id: String(++this.#ids), ...this.#call(client, to), ...outcome });
  }

  #call(client: Relayed['client'], to: SocketAddress) {
    return {
      workload: this.#workload,
      source: addressText(client),
      destination: addressText({ ip: to.address, port: to.port }),
      host: to.address,
      port: to.port,
      protocol: 'tcp',
    } as const;
  }

  #tell(flow: ProxyFlow): void {
    if (flow.kind === 'end') {
      this.#recent.add(flow);
      this.#audit?.(flow);
    }
    this.#deliver?.(flow);
  }
}
