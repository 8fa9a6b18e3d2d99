import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchesLabels, matchesSelector } from './labels.ts';

const LABELS = { app: 'web', tier: 'front' };

test('labels match a selector if they have all of its keys with its values', () => {
  assert.equal(matchesLabels({ app: 'web' }, LABELS), true);
  assert.equal(matchesLabels({ app: 'web', tier: 'front' }, LABELS), true);
  assert.equal(matchesLabels({ app: 'web', tier: 'back' }, LABELS), false);
  assert.equal(matchesLabels({ zone: 'a' }, LABELS), false);
  assert.equal(matchesLabels({ zone: '' }, LABELS), false, 'an empty value is not an absent label');
});

test('an empty selector is satisfied by all labels', () => {
  assert.equal(matchesLabels({}, LABELS), true);
  assert.equal(matchesLabels({}, {}), true);
  assert.equal(matchesSelector({ matchLabels: {}, matchExpressions: [] }, {}), true);
});

test('only the keys of the selector are read of the labels', () => {
  const read: string[] = [];
  const labels = new Proxy<Record<string, string>>(LABELS, {
    get(target, key) {
      read.push(String(key));
      return Reflect.get(target, key);
    },
    ownKeys: () => assert.fail('all labels were listed'),
    has: () => assert.fail('a label was looked for without its value'),
  });
  matchesLabels({ app: 'web', zone: 'a' }, labels);
  matchesSelector({ matchLabels: {}, matchExpressions: [{ key: 'tier', operator: 'Exists', values: [] }] }, labels);
  assert.deepEqual(read, ['app', 'zone', 'tier']);
});

test('label selectors: every requirement holds', () => {
  const selector = (key: string, operator: string, values: string[] = []) => ({
    matchLabels: {},
    matchExpressions: [{ key, operator, values }],
  });
  assert.equal(matchesSelector(selector('app', 'In', ['web']), LABELS), true);
  assert.equal(matchesSelector(selector('app', 'In', ['api']), LABELS), false);
  assert.equal(matchesSelector(selector('zone', 'In', ['a']), LABELS), false);
  assert.equal(matchesSelector(selector('app', 'NotIn', ['web']), LABELS), false);
  assert.equal(matchesSelector(selector('zone', 'NotIn', ['web']), LABELS), true);
  assert.equal(matchesSelector(selector('app', 'Exists'), LABELS), true);
  assert.equal(matchesSelector(selector('zone', 'Exists'), LABELS), false);
  assert.equal(matchesSelector(selector('zone', 'DoesNotExist'), LABELS), true);
  assert.equal(matchesSelector(selector('app', 'DoesNotExist'), LABELS), false);
  assert.equal(matchesSelector(selector('app', 'Gt', ['a']), LABELS), false, 'an unknown operator');
  assert.equal(matchesSelector({ matchLabels: { app: 'web', tier: 'back' }, matchExpressions: [] }, LABELS), false);
  assert.equal(
    matchesSelector({ matchLabels: { app: 'web' }, matchExpressions: [{ key: 'tier', operator: 'In', values: ['back'] }] }, LABELS),
    false,
  );
});
