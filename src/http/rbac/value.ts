/** envoy.type.matcher.v3.MetadataMatcher, compiled for the dynamic metadata of a request. */
import type { JsonValue } from '@bufbuild/protobuf';
import { SallyportError } from '../../lib/errors.ts';
import type { MetadataMatcher } from '../../xds/gen/envoy/type/matcher/v3/metadata_pb.js';
import type { ValueMatcher } from '../../xds/gen/envoy/type/matcher/v3/value_pb.js';
import { compileStringMatcher } from '../../xds/match/string.ts';
import type { DynamicMetadata } from './subject.ts';

type ValuePredicate = (value: JsonValue | undefined) => boolean;

/** Throws `xds-invalid` for a matcher without a value and for bad regexes. */
export function compileMetadataMatcher(matcher: MetadataMatcher): (metadata: DynamicMetadata | undefined) => boolean {
  const keys = matcher.path.map(({ segment }) => segment.value ?? '');
  const test = compileValueMatcher(matcher.value);
  return (metadata) => test(valueAt(metadata?.[matcher.filter], keys)) !== matcher.invert;
}

/** What stands at the matcher's path. */
export function metadataValue({ filter, path }: MetadataMatcher, metadata: DynamicMetadata | undefined): JsonValue | undefined {
  return valueAt(
    metadata?.[filter],
    path.map(({ segment }) => segment.value ?? ''),
  );
}

/** What stands under these keys, each within the one before. */
export function valueAt(value: JsonValue | undefined, keys: readonly string[]): JsonValue | undefined {
  let at = value;
  for (const key of keys) {
    if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  return at;
}

/** What is not there matches nothing, save `present_match: false`. */
function compileValueMatcher(matcher: ValueMatcher | undefined): ValuePredicate {
  const pattern = matcher?.matchPattern;
  switch (pattern?.case) {
    case 'nullMatch':
      return (value) => value === null;
    case 'doubleMatch': {
      const { matchPattern } = pattern.value;
      if (matchPattern.case === 'exact') return (value) => value === matchPattern.value;
      if (matchPattern.case !== 'range') throw new SallyportError('xds-invalid', 'double matcher without a pattern');
      const { start, end } = matchPattern.value;
      return (value) => typeof value === 'number' && start <= value && value < end;
    }
    case 'stringMatch': {
      const test = compileStringMatcher(pattern.value);
      return (value) => typeof value === 'string' && test(value);
    }
    case 'boolMatch':
      return (value) => value === pattern.value;
    case 'presentMatch':
      return (value) => (value !== undefined) === pattern.value;
    case 'listMatch': {
      const { matchPattern } = pattern.value;
      if (matchPattern.case !== 'oneOf') throw new SallyportError('xds-invalid', 'list matcher without a pattern');
      const test = compileValueMatcher(matchPattern.value);
      return (value) => Array.isArray(value) && value.some(test);
    }
    case 'orMatch': {
      const tests = pattern.value.valueMatchers.map(compileValueMatcher);
      return (value) => tests.some((test) => test(value));
    }
    default:
      throw new SallyportError('xds-invalid', 'value matcher without a pattern');
  }
}
