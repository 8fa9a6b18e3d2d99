/** `explain`: where one call goes, hop by hop, and which resource decides. */
import { SallyportError } from '../lib/errors.ts';
import type { CallTarget } from '../simulate/call.ts';
import { type Advice, adviseOn } from './advice.ts';
import type { ErrorsOf } from './allow.ts';
import type { DumpedMesh } from './dumped.ts';
import type { SimulatedFiles } from './simulated.ts';
import { type Caller, callerOf, follow, type Way, wayOf } from './way.ts';

export interface Explanation extends Way {
  /** What would let a refused call through; undefined for a call that got through, and where the resources are not known. */
  readonly advice: Advice | undefined;
}

/** Explains a call over files. `errorsOf` is what analysis finds: what brings a new error is not advised. Throws `usage` where it is not clear who calls, and `no-such-workload`. */
export function explain(files: SimulatedFiles, target: CallTarget, caller: Caller, errorsOf: ErrorsOf = () => []): Explanation {
  const way = wayOf(files, target, caller);
  return { ...way, advice: adviseOn(files, way, target, caller, errorsOf) };
}

/** Explains a call over the dumps of running proxies: without advice, which needs the resources. Throws `usage` and `no-such-workload`. */
export function explainDump({ proxies, simulated }: DumpedMesh, target: CallTarget, caller: Caller): Explanation {
  const sidecars = proxies.filter(({ type }) => type === 'sidecar');
  const names = sidecars.map((sidecar) => sidecar.name);
  const name = sidecars.length === 0 && caller.from === undefined ? 'plain' : callerOf(names, caller);
  const from = sidecars.find((sidecar) => sidecar.name === name);
  if (!from && name !== 'plain') {
    throw new SallyportError('no-such-workload', `no dump is of a sidecar ${name}; there are ${names.join(', ') || 'none'}.`);
  }
  return { ...follow(simulated, from, target, caller), from: name, advice: undefined };
}
