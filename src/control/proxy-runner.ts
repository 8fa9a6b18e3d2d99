/** One proxy of this process: its engine, kept at what is published for it. */
import type { Engine, Refusal } from '../engine/contract.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { Acknowledgement, Publication, SetCache, Watch } from '../xds/cache.ts';
import type { XdsResources, XdsUpdate } from '../xds/resources.ts';

export interface ProxyRunnerOptions<P extends Publication> {
  readonly key: string;
  readonly identity: ProxyIdentity;
  readonly cache: SetCache<P, Refusal>;
  readonly start: () => Promise<Engine>;
  /** The proxy has made something of a publication; by then `settled` says what. */
  readonly acknowledged: (answer: Acknowledgement<P, Refusal>) => void;
  /** The engine ended without having been told to. */
  readonly ended: (error: Error) => void;
}

/** What a proxy took over last. */
export interface Settled<P> {
  readonly publication: P;
  readonly refused: readonly Refusal[];
}

export class ProxyRunner<P extends Publication> {
  identity: ProxyIdentity;
  /** Undefined until there is something. */
  settled: Settled<P> | undefined;
  readonly #options: ProxyRunnerOptions<P>;
  readonly #watch: Watch<P, Refusal>;
  #engine: Promise<Engine> | undefined;

  constructor(options: ProxyRunnerOptions<P>) {
    this.#options = options;
    this.identity = options.identity;
    this.#watch = options.cache.watch(options.key, this, (answer) => {
      if (answer.kind === 'accepted') this.settled = answer;
      options.acknowledged(answer);
    });
  }

  /** For the watch. An engine that could not be started is started anew with the next change. */
  async apply(resources: XdsResources, update: XdsUpdate): Promise<readonly Refusal[]> {
    return (await this.#running()).apply(resources, update);
  }

  async reopenLogs(): Promise<void> {
    await (await this.#engine)?.reopenLogs();
  }

  /** Running requests may finish for so many ms. */
  async close(graceMs: number): Promise<void> {
    this.#watch.close();
    const engine = await this.#engine?.catch(() => undefined);
    await engine?.close(graceMs);
  }

  #running(): Promise<Engine> {
    this.#engine ??= this.#start();
    return this.#engine;
  }

  async #start(): Promise<Engine> {
    try {
      const engine = await this.#options.start();
      void engine.failed.then(this.#options.ended);
      return engine;
    } catch (error) {
      this.#engine = undefined;
      throw error;
    }
  }
}
