import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cursorAt } from './cursor.ts';

/** The cursor at the bar, in short. */
function at(text: string): string {
  const offset = text.indexOf('¦');
  const cursor = cursorAt(text.replace('¦', ''), offset);
  if (!cursor) return 'nothing';
  const siblings = [...cursor.siblings].map(([key, value]) => `${key}=${value}`).join(' ');
  return `${cursor.at} ${cursor.path.join('.')} "${cursor.word}"${siblings && ` [${siblings}]`}`;
}

const HEAD = 'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: a\n  namespace: shop\nspec:\n';

test('a key, a value, and a word that may become either', () => {
  assert.equal(at('kind: Gate¦way\n'), 'value kind "Gateway"');
  assert.equal(at('ki¦nd: Gateway\n'), 'key  "kind"');
  assert.equal(at('ki¦'), 'open  "ki"');
  assert.equal(at('kind: ¦\n'), 'value kind ""');
  assert.equal(at(`${HEAD}  ho¦\n`), 'open spec "ho"');
  assert.equal(at(`${HEAD}  ¦\n`), 'open spec ""');
  assert.equal(at(`${HEAD}  hosts:\n  - a\n  - b¦\n`), 'open spec.hosts.1 "b"');
  assert.equal(at(`${HEAD}  hosts:\n    - ¦\n`), 'open spec.hosts.0 ""');
});

test('lists of mappings, with and without indentation of their own', () => {
  for (const indent of ['', '  ']) {
    const rule = `  http:\n  ${indent}- match:\n    ${indent}- uri: { exact: / }\n    ${indent}route:\n    ${indent}- destination:\n        ${indent}host: a\n`;
    assert.equal(at(`${HEAD}${rule}        ${indent}sub¦`), 'open spec.http.0.route.0.destination "sub" [host=a]');
    assert.equal(at(`${HEAD}${rule}      ${indent}we¦`), 'open spec.http.0.route.0 "we" [destination=]');
    assert.equal(at(`${HEAD}${rule}  ${indent}- ro¦ute:\n`), 'key spec.http.1 "route"');
  }
});

test('the keys beside it are those of its own item', () => {
  const text = `${HEAD}  servers:\n  - name: a\n    hosts: []\n  - ¦\n    port: x\n    name: b\n  - name: c\n`;
  assert.equal(at(text), 'open spec.servers.1 "" [port=x name=b]');
});

test('mappings and lists in brackets on one line', () => {
  assert.equal(at(`${HEAD}  hosts: [a, b¦b, c]\n`), 'open spec.hosts.1 "bb"');
  assert.equal(at(`${HEAD}  hosts: [¦]\n`), 'open spec.hosts.0 ""');
  assert.equal(at(`${HEAD}  d: { host: a, sub¦set: v1 }\n`), 'key spec.d "subset" [host=a]');
  assert.equal(at(`${HEAD}  d: { subset: v¦1, host: "a" }\n`), 'value spec.d.subset "v1" [host=a]');
  assert.equal(at(`${HEAD}  r: [{ destination: { host: b, subset: ¦ } }]\n`), 'value spec.r.0.destination.subset "" [host=b]');
  assert.equal(at(`${HEAD}  r:\n  - { destination: { host: ¦ } }\n`), 'value spec.r.0.destination.host ""');
});

test('comments, blocks of text, markers, JSON and what is behind a bracket are left alone', () => {
  assert.equal(at('kind: A # so¦\n'), 'nothing');
  assert.equal(at('# so¦\n'), 'nothing');
  assert.equal(at('data:\n  mesh: |\n    key: v¦\n'), 'nothing');
  assert.equal(at('--¦-\nkind: A\n'), 'nothing');
  assert.equal(at('{ "kind": "¦" }'), 'nothing');
  assert.equal(at('a: {}¦'), 'nothing');
});

test('each document has its own head, also with other ends of lines', () => {
  const text = 'kind: A\n---\napiVersion: v1\nkind: "B"\nmetadata: { namespace: shop, name: b }\nspec: x\n---\nkind: C\n'.replaceAll(
    '\n',
    '\r\n',
  );
  const { apiVersion, kind, namespace, name, start } = cursorAt(text, text.indexOf('x'))!;
  assert.deepEqual({ apiVersion, kind, namespace, name }, { apiVersion: 'v1', kind: 'B', namespace: 'shop', name: 'b' });
  assert.equal(text[start], 'x');
});

test('hostile texts cost little', () => {
  for (const text of [
    '['.repeat(500_000),
    '- '.repeat(300_000),
    ' \n'.repeat(400_000),
    '\0'.repeat(900_000),
    "a: '".repeat(200_000),
    '{a: '.repeat(200_000),
  ])
    cursorAt(text, text.length);
});
