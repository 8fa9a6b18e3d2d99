import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { ListenerFilterChainMatchPredicateSchema } from '../gen/envoy/config/listener/v3/listener_components_pb.js';
import { compilePortPredicate } from './port-predicate.ts';

const compiled = (json: JsonValue) => compilePortPredicate(fromJson(ListenerFilterChainMatchPredicateSchema, json), 'l');
const range = (start: number, end: number) => ({ destinationPortRange: { start, end } });

test('ports at which a listener filter is not run', () => {
  assert.equal(compilePortPredicate(undefined, 'l')(80), false);
  assert.equal(compiled({ anyMatch: true })(80), true);
  assert.deepEqual([79, 80, 81, 82].map(compiled(range(80, 82))), [false, true, true, false]);
  assert.deepEqual([80, 81].map(compiled({ notMatch: range(80, 81) })), [false, true]);
  assert.deepEqual([80, 443, 81].map(compiled({ orMatch: { rules: [range(80, 81), range(443, 444)] } })), [true, true, false]);
  assert.deepEqual([80, 81].map(compiled({ andMatch: { rules: [range(80, 90), range(81, 90)] } })), [false, true]);
});
