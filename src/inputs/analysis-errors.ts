/** The errors of analysis, as `explain` holds its advice against them. */
import { analyze } from '../analysis/index.ts';
import { originText } from '../lib/origin.ts';
import type { ErrorsOf } from '../prove/allow.ts';

/** `now` in milliseconds since the epoch: certificates are judged at that time. */
export function analysisErrors(now: number): ErrorsOf {
  return ({ mesh: { snapshot, registry, config } }) =>
    analyze({ snapshot, registry, mesh: config, now }).flatMap(({ level, code, origin }) =>
      level === 'Error' ? [`${code} ${originText(origin)}`] : [],
    );
}
