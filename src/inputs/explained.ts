/** Reads what a call is explained over, and explains it. */
import type { NamedDump } from '../prove/dumped.ts';
import { type Explanation, explain, explainDump } from '../prove/explain.ts';
import type { CallTarget } from '../simulate/call.ts';
import { readDump } from './dump.ts';
import type { Reader, SourceOptions } from './reader.ts';

/** Who calls, and the address that they resolved the name to themselves. */
interface Caller {
  readonly from?: string;
  readonly to?: string;
}

/** @param now ms since the epoch */
export async function explainOver(
  reader: Reader,
  target: CallTarget,
  paths: readonly string[],
  options: SourceOptions & Caller,
  now: number,
): Promise<Explanation> {
  const { from, to } = options;
  const { analysisErrors } = await import('./analysis-errors.ts');
  return explain(await reader.simulated(paths, options), target, { from, to, now }, analysisErrors(now));
}

/** @param paths of config dumps @param now ms since the epoch */
export async function explainDumps(paths: readonly string[], target: CallTarget, { from, to }: Caller, now: number): Promise<Explanation> {
  const { dumpedMesh } = await import('../prove/dumped.ts');
  const dumps: NamedDump[] = [];
  for (const path of paths) dumps.push({ name: path, dump: (await readDump(path)).dump });
  return explainDump(dumpedMesh(dumps), target, { from, to, now });
}
