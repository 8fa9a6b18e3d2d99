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

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function numbersFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The items in an order of chance (Fisher and Yates). */
export function shuffled<T>(items: readonly T[], next: () => number): T[] {
  const list = [...items];
  for (let index = list.length - 1; index > 0; index--) {
    const other = Math.floor(next() * (index + 1));
    [list[index], list[other]] = [list[other]!, list[index]!];
  }
  return list;
}
