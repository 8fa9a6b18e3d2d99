import { SallyportError } from '../../lib/errors.ts';
import type { RuntimeFractionalPercent } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import type { FractionalPercent } from '../../xds/gen/envoy/type/v3/percent_pb.js';
import { FractionalPercent_DenominatorType } from '../../xds/gen/envoy/type/v3/percent_pb.js';

/** True for a random integer that falls into the fraction: `random mod denominator < numerator`. There is no runtime, so defaults hold. */
export function compileFraction(fraction: FractionalPercent | undefined): (random: number) => boolean {
  if (!fraction) return () => true;
  const { numerator } = fraction;
  const denominator = denominatorOf(fraction);
  if (numerator >= denominator) return () => true;
  if (numerator === 0) return () => false;
  return (random) => random % denominator < numerator;
}

export function compileRuntimeFraction(fraction: RuntimeFractionalPercent | undefined): (random: number) => boolean {
  return compileFraction(fraction?.defaultValue);
}

/** From 0 to 1. */
export function shareOf(fraction: FractionalPercent): number {
  return Math.min(1, fraction.numerator / denominatorOf(fraction));
}

function denominatorOf(fraction: FractionalPercent): number {
  switch (fraction.denominator) {
    case FractionalPercent_DenominatorType.HUNDRED:
      return 100;
    case FractionalPercent_DenominatorType.TEN_THOUSAND:
      return 10_000;
    case FractionalPercent_DenominatorType.MILLION:
      return 1_000_000;
    default:
      throw new SallyportError('xds-invalid', `fraction with the unknown denominator ${String(fraction.denominator)}`);
  }
}
