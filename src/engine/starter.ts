/** Chooses and starts the engine of a proxy. */

import { SallyportError } from '../lib/errors.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import type { NodeJson } from '../xds/node.ts';
import type { Engine } from './contract.ts';

export const ENGINES = ['embedded', 'envoy'] as const;

export interface EngineOptions {
  readonly engine: (typeof ENGINES)[number];
  /** Path of Envoy's binary; found on the PATH if not named. */
  readonly envoy: string | undefined;
  /** Worker threads; 0 for as many as the machine has cores. */
  readonly concurrency: number;
  readonly logLevel: string;
}

export interface EngineRequest {
  readonly identity: ProxyIdentity;
  /** Takes the place of what the identity makes of the xDS node; the embedded engine alone heeds it. */
  readonly node?: Partial<NodeJson>;
  /** Where this proxy's admin server listens; undefined for none. */
  readonly admin: SocketAddress | undefined;
  /** Where the names of the mesh's hosts are answered; the embedded engine alone does that. */
  readonly dns?: SocketAddress;
  /** The caller has no work of its own once the engine runs; the embedded engine may then run in the caller's thread. */
  readonly alone?: boolean;
}

/** Starts engines of one kind; `failed` settles when one of them ended by itself. */
export class EngineStarter {
  readonly failed: Promise<Error>;
  readonly #options: EngineOptions;
  #fail: (error: Error) => void = () => {};

  constructor(options: EngineOptions) {
    this.#options = options;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
  }

  async start(request: EngineRequest): Promise<Engine> {
    const engine = await this.#start(request);
    engine.failed.then(this.#fail);
    return engine;
  }

  async #start({ identity, node, admin, dns, alone = false }: EngineRequest): Promise<Engine> {
    const { engine, envoy, concurrency, logLevel } = this.#options;
    if (engine === 'envoy') {
      if (!admin) throw new SallyportError('usage', 'with Envoy there has to be an admin address: it says what is in force.');
      const { EnvoyEngine, findEnvoy } = await import('./envoy/engine.ts');
      return new EnvoyEngine({ binary: findEnvoy(envoy, process.env.PATH ?? ''), proxy: identity, admin, concurrency, logLevel });
    }
    const { startEmbedded } = await import('./embedded/engine.ts');
    return startEmbedded({ identity, node, admin, dns, concurrency, alone });
  }
}
