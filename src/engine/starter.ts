/** Chooses and starts the engine of a proxy. */
import { NEEDS_EMBEDDED } from '../audit/options.ts';
import { SallyportError } from '../lib/errors.ts';
import type { Engine, EngineHost, EngineRequest } from './contract.ts';

export const ENGINES = ['embedded', 'envoy'] as const;

export interface EngineOptions {
  readonly engine: (typeof ENGINES)[number];
  /** Path of Envoy's binary; found on the PATH if not named. */
  readonly envoy: string | undefined;
  /** Worker threads; 0 for as many as the machine has cores. */
  readonly concurrency: number;
  readonly logLevel: string;
}

/** Rejects with `usage` or `envoy-missing`. What an engine needs ports for it says of the first change. */
export async function startEngine(options: EngineOptions, host: EngineHost, request: EngineRequest): Promise<Engine> {
  const { engine, envoy, concurrency, logLevel } = options;
  const { identity, node, admin, dns, contained, whole, alone = false } = request;
  if (contained && (engine !== 'embedded' || concurrency !== 1))
    throw new SallyportError('usage', 'a contained command needs the embedded engine with --concurrency 1.');
  if (engine === 'envoy') {
    if (host.audit) throw new SallyportError('usage', NEEDS_EMBEDDED);
    if (!admin) throw new SallyportError('usage', 'with Envoy there has to be an admin address: it says what is in force.');
    const { findEnvoy } = await import('./envoy/find.ts');
    const binary = findEnvoy(envoy, host.environment.PATH ?? '');
    const { EnvoyEngine } = await import('./envoy/engine.ts');
    return new EnvoyEngine({ binary, proxy: identity, admin, concurrency, logLevel, host });
  }
  const { startEmbedded } = await import('./embedded/engine.ts');
  return startEmbedded({ identity, node, admin, dns, contained, whole, concurrency, alone: alone || contained !== undefined, host });
}
