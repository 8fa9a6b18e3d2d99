import { createHash } from 'node:crypto';

/** Parts of the sources that are changed, by the name under which they are counted. */
export const PARTS: Readonly<Record<string, readonly string[]>> = {
  'src/xds/match': ['src/xds/match/**'],
  'src/lib': ['src/lib/**'],
  'src/http': ['src/http/**'],
  'src/proxy/http/h1': ['src/proxy/http/h1/**'],
  'retries and pools': ['src/proxy/http/{attempt,retry,forward,stream-timeouts}.ts', 'src/proxy/http/pool/**', 'src/proxy/cluster/**'],
  'listener filters': ['src/proxy/listener/**'],
  'src/translate': ['src/translate/**'],
  'src/registry': ['src/registry/**'],
  'src/analysis/analyzers': ['src/analysis/analyzers/**'],
  'src/simulate': ['src/simulate/**'],
  'exit codes': ['src/cli/{analyze,answer,diff,exit,explain,few,source-options,verify}.ts'],
};

/** The items in an order of chance, the same for the same seed; where the others come does not change when one is added or goes. */
export function shuffled<T>(items: readonly T[], seed: string, nameOf: (item: T) => string): T[] {
  const rankOf = (item: T) => createHash('sha256').update(seed).update('\0').update(nameOf(item)).digest('hex');
  return items
    .map((item) => ({ item, rank: rankOf(item) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ item }) => item);
}
