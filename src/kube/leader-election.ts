/** Elects by a Lease who of several controllers writes, as client-go's leader election does and with its fields. */
import { setTimeout as delay } from 'node:timers/promises';
import { isMapping } from '../api/decode.ts';
import type { ApiClient } from '../config/kubernetes/client.ts';
import { isStatus } from '../config/kubernetes/errors.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { pathOf, pathOfAll } from './paths.ts';

export interface ElectionTimes {
  /** ms after which somebody else may take a Lease that its holder has not renewed. */
  readonly leaseMs: number;
  /** ms without a renewal after which the holder counts itself out: shorter than the Lease, so that never two write. */
  readonly renewMs: number;
  /** ms between attempts. */
  readonly retryMs: number;
}

/** Those of Kubernetes' own components. */
const ELECTION_TIMES: ElectionTimes = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2000 };

export interface ElectionOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly name: string;
  /** Who this one is: no other may have the same. */
  readonly identity: string;
  /** Called when it has begun to lead, or has ceased to. */
  readonly changed: (leads: boolean) => void;
  /** The Lease could not be read or written; it is tried again. */
  readonly failed: (error: unknown) => void;
  readonly times?: ElectionTimes | undefined;
}

interface Held {
  readonly holder: string;
  readonly renewed: string;
  readonly transitions: number;
  /** ms. */
  readonly leaseMs: number;
  readonly acquired: string;
  readonly resourceVersion: string;
}

/** Runs from its making until it is closed. Time is this machine's alone: when somebody else renewed is seen by the Lease's changing, not by what it says. */
export class Election {
  readonly #options: ElectionOptions;
  readonly #times: ElectionTimes;
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;
  /** When the Lease was seen to change last, ms of `performance.now()`. */
  #seen: { readonly what: string; readonly at: number } | undefined;
  /** Until when this one leads without another renewal, ms of `performance.now()`. */
  #until = 0;
  #told = false;
  /** Whether another held the Lease since this one began. */
  #followed = false;
  #failing = false;

  constructor(options: ElectionOptions) {
    this.#options = options;
    this.#times = options.times ?? ELECTION_TIMES;
    this.#ended = this.#run();
  }

  /** Whether this one may write just now. */
  get leads(): boolean {
    return performance.now() < this.#until;
  }

  /** Whether another has led while this one ran. */
  get followed(): boolean {
    return this.#followed;
  }

  /** Gives the Lease back, so that another need not wait for its end. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#ended;
    const led = this.leads;
    this.#until = 0;
    this.#tell();
    if (!led) return;
    const held = await this.#read().catch(() => undefined);
    if (held?.holder !== this.#options.identity) return;
    await this.#write(held, { ...held, holder: '', leaseMs: 1000 }).catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const began = performance.now();
      try {
        if (await this.#take()) this.#until = began + this.#times.renewMs;
        else {
          this.#until = 0;
          this.#followed = true;
        }
        this.#failing = false;
      } catch (error) {
        // Somebody else was quicker: what he wrote is read the next time.
        if (!isStatus(error, 409)) {
          if (!this.#failing) this.#options.failed(electionFailed(this.#options, error));
          this.#failing = true;
        }
      }
      this.#tell();
      await delay(this.#times.retryMs * (0.8 + Math.random() * 0.4), undefined, { signal }).catch(() => undefined);
      this.#tell();
    }
  }

  #tell(): void {
    const leads = this.leads;
    if (leads === this.#told) return;
    this.#told = leads;
    this.#options.changed(leads);
  }

  /** Takes or renews the Lease; false where another holds it. */
  async #take(): Promise<boolean> {
    const { identity } = this.#options;
    const held = await this.#read();
    const now = new Date().toISOString().replace('Z', '000Z');
    const mine = { holder: identity, renewed: now, leaseMs: this.#times.leaseMs };
    if (!held) {
      await this.#write(undefined, { ...mine, transitions: 0, acquired: now });
      return true;
    }
    const { resourceVersion, ...said } = held;
    const what = JSON.stringify(said);
    if (this.#seen?.what !== what) this.#seen = { what, at: performance.now() };
    if (held.holder === identity) {
      await this.#write(held, { ...mine, transitions: held.transitions, acquired: held.acquired });
      return true;
    }
    if (held.holder !== '' && performance.now() < this.#seen.at + held.leaseMs) return false;
    await this.#write(held, { ...mine, transitions: held.transitions + 1, acquired: now });
    return true;
  }

  async #read(): Promise<Held | undefined> {
    const { client, namespace, name } = this.#options;
    let lease: unknown;
    try {
      lease = await client.get(pathOf('Lease', namespace, name), AbortSignal.timeout(this.#times.renewMs));
    } catch (error) {
      if (isStatus(error, 404)) return undefined;
      throw error;
    }
    const spec = isMapping(lease) && isMapping(lease.spec) ? lease.spec : {};
    const metadata = isMapping(lease) && isMapping(lease.metadata) ? lease.metadata : {};
    return {
      holder: String(spec.holderIdentity ?? ''),
      renewed: String(spec.renewTime ?? ''),
      acquired: String(spec.acquireTime ?? ''),
      transitions: Number(spec.leaseTransitions ?? 0),
      leaseMs: Number(spec.leaseDurationSeconds ?? 0) * 1000,
      resourceVersion: String(metadata.resourceVersion ?? ''),
    };
  }

  /** Rejects with 409 where the Lease is not any more what was read. */
  async #write(
    before: Held | undefined,
    { holder, renewed, acquired, transitions, leaseMs }: Omit<Held, 'resourceVersion'>,
  ): Promise<void> {
    const { client, name, namespace } = this.#options;
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace, ...(before && { resourceVersion: before.resourceVersion }) },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: Math.max(1, Math.round(leaseMs / 1000)),
        ...(acquired && { acquireTime: acquired }),
        ...(renewed && { renewTime: renewed }),
        leaseTransitions: transitions,
      },
    };
    if (before) await client.send('PUT', pathOf('Lease', namespace, name), lease);
    else await client.send('POST', pathOfAll('Lease', namespace), lease);
  }
}

function electionFailed({ namespace, name }: ElectionOptions, cause: unknown): SallyportError {
  return new SallyportError(
    'lease-failed',
    `Lease ${namespace}/${name}, which elects who writes, can't be had: ${messageOf(cause)}. Nothing is written to the cluster until it can`,
    { cause },
  );
}
