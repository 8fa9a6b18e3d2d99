import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { StringMatcherSchema } from '../gen/envoy/type/matcher/v3/string_pb.js';
import { compileStringMatcher } from './string.ts';

const VALUES = ['abc', 'ABC', 'xabc', 'abcx', 'xabcx', 'b', ''];
const matched = (matcher: JsonObject) => VALUES.filter(compileStringMatcher(fromJson(StringMatcherSchema, matcher)));

const MATCHERS: readonly (readonly [JsonObject, readonly string[]])[] = [
  [{ exact: 'abc' }, ['abc']],
  [{ exact: 'aBc', ignoreCase: true }, ['abc', 'ABC']],
  [{ prefix: 'abc' }, ['abc', 'abcx']],
  [{ suffix: 'abc' }, ['abc', 'xabc']],
  [{ suffix: 'ABC', ignoreCase: true }, ['abc', 'ABC', 'xabc']],
  [{ contains: 'abc' }, ['abc', 'xabc', 'abcx', 'xabcx']],
  [{ safeRegex: { regex: 'x?abc' } }, ['abc', 'xabc']],
  [{ safeRegex: { regex: 'abc' }, ignoreCase: true }, ['abc']],
];

for (const [matcher, values] of MATCHERS) test(JSON.stringify(matcher), () => assert.deepEqual(matched(matcher), values));

test('letters beyond ASCII keep their case', () => {
  const matches = compileStringMatcher(fromJson(StringMatcherSchema, { exact: 'É', ignoreCase: true }));
  assert.deepEqual([matches('É'), matches('é')], [true, false]);
});

test('what is no matcher is refused', () => {
  assert.throws(() => matched({}), { code: 'xds-invalid' });
  assert.throws(() => matched({ custom: { name: 'own' } }), { code: 'xds-unsupported' });
});
