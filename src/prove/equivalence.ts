/** Whether two configurations do the same: a statement of `verify`, and what `convert` promises. */
import { mapGrouped } from '../lib/grouped.ts';
import { explainCall } from '../simulate/explain.ts';
import { callersOf } from './callers.ts';
import { compare } from './diff.ts';
import { locatedTrace } from './origins.ts';
import type { SimulatedFiles } from './simulated.ts';
import { unknownTo } from './unknown.ts';
import type { AdversaryVerdict } from './verdict.ts';

/** Whether every call of every workload ends under `files` as it does under `other`; the verdict calls that one `name`. */
export function equivalence(files: SimulatedFiles, other: SimulatedFiles, name: string): AdversaryVerdict {
  const { changes, undecided, added, removed, cells } = compare(other, files);
  const { mesh, simulated } = files;
  const callers = new Map([...files.proxies, ...callersOf(files), ...callersOf(other)].map((one) => [`${one.namespace}/${one.name}`, one]));
  const open = [
    ...new Set([...undecided, ...unknownTo(files), ...unknownTo(other)]),
    ...[...added, ...removed].map((workload) => `${workload} is on one side only`),
  ];
  return {
    adversary: 'captured',
    statement: `every call has the outcome that it has under ${name}`,
    result: changes.length > 0 ? 'refuted' : open.length > 0 ? 'undecided' : 'proved',
    counterexamples: mapGrouped(
      changes,
      ({ workloads }) => workloads[0],
      ({ workloads, example }) => ({
        workloads,
        call: example,
        trace: locatedTrace(explainCall(simulated, files.proxyOf(callers.get(workloads[0]!)!), example), mesh.snapshot),
      }),
    ),
    undecided: open,
    notes: [],
    cells,
    openings: [],
  };
}
