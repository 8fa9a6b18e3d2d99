import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { injectedFile, injectedJson } from './documents.ts';
import { OPTIONS } from './testing.ts';

const MAP = '# Kept as it is.\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n';
const POD = 'apiVersion: v1\nkind: Pod\nmetadata: {name: b, namespace: shop}\nspec: {containers: [{name: app, image: x}]}\n';

test('only documents that make pods are written anew', () => {
  const { text, objects } = injectedFile('a.yaml', `${MAP}---\n${POD}---\n${MAP}`, OPTIONS);
  assert.ok(text.startsWith(`${MAP}---\n`));
  assert.ok(text.endsWith(MAP));
  const [, pod] = text.split('---\n');
  assert.deepEqual(parse(pod!), objects[1]);
  assert.match(pod!, /istio-proxy/);
});

test('where injection is off, the documents are as they were', () => {
  assert.equal(injectedFile('a.yaml', `${MAP}---\n${POD}`, OPTIONS, true).text, `${MAP}---\n${POD}`);
});

test('numbers are read as the API server reads them, and strings that look like them stay strings', () => {
  const spec =
    'spec: {containers: [{name: app, image: x, env: [{name: A, value: "0o17"}]}], volumes: [{name: v, secret: {secretName: s, defaultMode: 0644}}]}';
  const { text } = injectedFile('a.yaml', POD.replace(/spec: .*/, spec), OPTIONS);
  assert.match(text, /defaultMode: 420/);
  assert.match(text, /value: ("|')0o17("|')/);
});

test('what cannot be injected names the document', () => {
  assert.throws(() => injectedFile('a.yaml', `${MAP}---\nkind: {`, OPTIONS), {
    code: 'injection-invalid',
    message: /^a\.yaml, document 2: /,
  });
  assert.throws(() => injectedFile('a.yaml', 'apiVersion: v1\nkind: Pod\nspec: {containers: 7}\n', OPTIONS), {
    code: 'injection-invalid',
    message: /^a\.yaml, document 1: Pod default\//,
  });
});

test('JSON is one object, or a List of them', () => {
  assert.deepEqual(JSON.parse(injectedJson([{ kind: 'A' }])), { kind: 'A' });
  assert.deepEqual(JSON.parse(injectedJson([1, 2])), { apiVersion: 'v1', kind: 'List', items: [1, 2] });
});
