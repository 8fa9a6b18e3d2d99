import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayBeSecret } from './views.ts';

test('what may be a Secret is taken for one, however its kind is written', () => {
  const kinds = [
    'kind: Secret',
    '"kind" : "Secret"',
    "{kind: 'Secret', data: {k: dg==}}",
    'kind: !!str Secret',
    'kind: &anchor Secret',
    'kind: *anchor',
    'kind:\n  Secret',
    'kind: # a comment\n  Secret',
    'kind: >-\n  Secret',
    '? kind\n: Secret',
    '? kind # a comment\n: Secret',
    '{? kind # a comment\n: Secret}',
    'metadata: {name: &key kind}\n*key : Secret',
    'kind: "\\u0053ecret"',
    '"k\\u0069nd": Secret',
    'kind: List\nitems:\n- kind: Secret',
    'kind: Gateway\nspec: {tls: {certificateRefs: [{kind: Secret, name: c}]}}',
  ];
  assert.deepEqual(
    kinds.filter((text) => !mayBeSecret(text)),
    [],
  );
  const others = [
    'kind: VirtualService',
    '"kind": "Gateway", "spec": {}',
    'kind: Gateway # of the Secret',
    'data: {k: v, "*": "?"}\nhosts: ["*.example.com:443"]',
    'kind: List\nitems:\n- kind: Pod\n',
  ];
  assert.deepEqual(
    others.filter((text) => mayBeSecret(text)),
    [],
  );
});
