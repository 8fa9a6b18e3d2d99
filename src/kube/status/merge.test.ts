import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Condition } from '../../api/condition.ts';
import type { StatusFields, WantedStatus } from '../../gateway-api/status/index.ts';
import { mergedStatus } from './merge.ts';

const OURS = 'sallyport.dev/gateway-controller';
const wanted = (status: StatusFields): WantedStatus => ({ kind: 'HTTPRoute', namespace: 'default', name: 'r', status });
const accepted = (status: 'True' | 'False', message = ''): Condition => ({ type: 'Accepted', status, reason: 'Accepted', message });
const since = (condition: object, lastTransitionTime: string) => ({ ...condition, lastTransitionTime });
const merged = (there: Record<string, unknown>, status: StatusFields, now = 'now') => mergedStatus(there, wanted(status), OURS, now);

test('a condition holds since its status changed; those of others stay', () => {
  const other = { type: 'Other', status: 'True' };
  const there = { conditions: [other, since(accepted('True'), 'then')] };
  assert.equal(merged(there, { conditions: [accepted('True')] }), undefined);
  assert.deepEqual(merged(there, { conditions: [accepted('True', 'new words')] }), {
    conditions: [other, since(accepted('True', 'new words'), 'then')],
  });
  assert.deepEqual(merged(there, { conditions: [accepted('False')] }), { conditions: [other, since(accepted('False'), 'now')] });
});

test('entries of other controllers stay, and ours go with their parents', () => {
  const ref = { name: 'web' };
  const others = { parentRef: { name: 'x' }, controllerName: 'example.com/c', conditions: [] };
  const ours = { parentRef: ref, controllerName: OURS, conditions: [since(accepted('True'), 'then')] };
  const there = { parents: [others, ours] };
  const status = { parents: [{ ref, conditions: [accepted('True')] }] };
  assert.equal(merged(there, status), undefined);
  assert.deepEqual(merged({ parents: [others] }, status), { parents: [others, { ...ours, conditions: [since(accepted('True'), 'now')] }] });
  assert.deepEqual(merged(there, { parents: [] }), { parents: [others] });
  // Nothing is written where there is nothing to say.
  assert.equal(merged({}, { parents: [] }), undefined);
});

test('listeners are told apart by their names', () => {
  const listener = (name: string, status: 'True' | 'False') => ({
    name,
    supportedKinds: [],
    attachedRoutes: 0,
    conditions: [accepted(status)],
  });
  const there = {
    listeners: [{ ...listener('gone', 'True') }, { ...listener('a', 'True'), conditions: [since(accepted('True'), 'then')] }],
  };
  const next = merged(there, { listeners: [listener('b', 'True'), listener('a', 'True')] }) as {
    listeners: { name: string; conditions: { lastTransitionTime: string }[] }[];
  };
  assert.deepEqual(
    next.listeners.map(({ name, conditions }) => [name, conditions[0]!.lastTransitionTime]),
    [
      ['b', 'now'],
      ['a', 'then'],
    ],
  );
});
