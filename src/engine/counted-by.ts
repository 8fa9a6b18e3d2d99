/** Who counts Istio's metrics of a proxy that is started here, and whether it puts credentials in. */
import type { OfEngine } from '../lib/proxy-identity.ts';
import type { EngineOptions } from './starter.ts';

/** What its engine is told to count; nothing for an Envoy that lacks what it takes. Rejects with `envoy-missing`. @param path the environment's PATH */
export async function countedBy({ engine, envoy }: Pick<EngineOptions, 'engine' | 'envoy'>, path: string): Promise<OfEngine> {
  if (engine === 'embedded') return { countsBy: engine };
  const [{ findEnvoy }, { envoyCounts }] = await Promise.all([import('./envoy/find.ts'), import('./envoy/version.ts')]);
  return envoyCounts(findEnvoy(envoy, path)) ? { countsBy: engine, injects: false } : { injects: false };
}
