import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { RuntimeFractionalPercentSchema } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { FractionalPercentSchema, FractionalPercent_DenominatorType as Of } from '../../xds/gen/envoy/type/v3/percent_pb.js';
import { compileFraction, compileRuntimeFraction, shareOf } from './fraction.ts';

const fraction = (numerator: number, denominator: Of) => create(FractionalPercentSchema, { numerator, denominator });

test('a fraction takes the random numbers below its numerator, by its denominator', () => {
  for (const [denominator, size] of [
    [Of.HUNDRED, 100],
    [Of.TEN_THOUSAND, 10_000],
    [Of.MILLION, 1_000_000],
  ] as const) {
    const happens = compileFraction(fraction(7, denominator));
    assert.deepEqual([0, 6, 7, size - 1, size, size + 6, size + 7].map(happens), [true, true, false, false, true, true, false]);
    assert.equal(shareOf(fraction(7, denominator)), 7 / size);
  }
});

test('none, all and more than all', () => {
  const of = (numerator: number) => [0, 1, 99].map(compileFraction(fraction(numerator, Of.HUNDRED)));
  assert.deepEqual(
    [of(0), of(100), of(200)],
    [
      [false, false, false],
      [true, true, true],
      [true, true, true],
    ],
  );
  assert.deepEqual(
    [0, 100, 200].map((numerator) => shareOf(fraction(numerator, Of.HUNDRED))),
    [0, 1, 1],
  );
});

test('without a fraction it is everything', () => {
  assert.equal(compileFraction(undefined)(5), true);
  assert.equal(compileRuntimeFraction(undefined)(5), true);
  assert.equal(compileRuntimeFraction(create(RuntimeFractionalPercentSchema, { defaultValue: fraction(0, Of.HUNDRED) }))(5), false);
});

test('a denominator that is not known is refused', () => {
  assert.throws(() => compileFraction(fraction(1, 9 as Of)), { code: 'xds-invalid' });
});
