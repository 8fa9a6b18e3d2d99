import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeDocuments } from '../api/documents.ts';
import { originText } from '../lib/origin.ts';
import { Store } from './store.ts';

const entry = (name: string, more = '', metadata = '') => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}${metadata}}
spec: {hosts: [${name}.example.com], ports: [{number: 80, name: http}]${more}}
`;

function store(files: Readonly<Record<string, string>>): Store {
  const made = new Store();
  for (const [file, text] of Object.entries(files)) made.set(file, decodeDocuments(text, file));
  return made;
}

test('an object that stands twice: the first is in force, the other a finding', () => {
  const snapshot = store({ 'a.yaml': entry('x'), 'b.yaml': `${entry('y')}---\n${entry('x', ', resolution: DNS')}` }).snapshot();
  assert.deepEqual(
    snapshot.all().map(({ metadata }) => metadata.name),
    ['x', 'y'],
  );
  assert.equal(snapshot.get('ServiceEntry', 'default', 'x')?.spec.resolution, 'NONE');
  const [finding] = snapshot.findings;
  assert.equal(finding?.code, 'SP0009');
  assert.equal(finding && originText(finding.origin), 'ServiceEntry default/x');
  assert.deepEqual(finding?.position, { file: 'b.yaml', line: 6, column: 1 });
  assert.match(finding?.message ?? '', /a\.yaml:1:1/);
});

test('one name in two namespaces, or of two kinds, is no duplicate', () => {
  const text = `${entry('x')}---\n${entry('x', '', ', namespace: other')}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n`;
  const snapshot = store({ 'a.yaml': text }).snapshot();
  assert.deepEqual(snapshot.findings, []);
  assert.equal(snapshot.list('ServiceEntry').length, 2);
  assert.equal(snapshot.get('ConfigMap', 'other', 'x'), undefined);
  assert.deepEqual(snapshot.list('Gateway'), []);
});

test('age: by creation, objects without a time last, in the order of files', () => {
  const born = (time: string) => `, creationTimestamp: "${time}"`;
  const made = store({
    'a.yaml': [entry('a'), entry('b', '', born('2026-03-01T00:00:00Z')), entry('c', '', born('soon'))].join('---\n'),
    'b.yaml': [entry('d', '', born('2026-01-01T00:00:00Z')), entry('e', '', born('2026-03-01T00:00:00Z'))].join('---\n'),
  });
  const order = (files?: string[]) => {
    const list = made.snapshot(files).list('ServiceEntry');
    for (let i = 1; i < list.length; i++) assert.ok(list[i - 1]!.order < list[i]!.order);
    return list.map(({ metadata }) => metadata.name);
  };
  assert.deepEqual(order(), ['d', 'b', 'e', 'a', 'c']);
  assert.deepEqual(order(['b.yaml', 'a.yaml']), ['d', 'e', 'b', 'a', 'c']);
});

test('versions grow; a snapshot does not change with its store', () => {
  const made = store({ 'a.yaml': entry('x') });
  const before = made.snapshot();
  made.delete('a.yaml');
  const after = made.snapshot();
  assert.ok(after.version > before.version);
  assert.equal(before.list('ServiceEntry').length, 1);
  assert.equal(after.list('ServiceEntry').length, 0);
});

test('an object that was never good is listed nowhere but for analysis', () => {
  const snapshot = store({ 'a.yaml': entry('x', ', location: HERE') }).snapshot();
  assert.deepEqual(snapshot.list('ServiceEntry'), []);
  assert.equal(snapshot.get('ServiceEntry', 'default', 'x'), undefined);
  assert.equal(snapshot.all()[0]?.valid, false);
});

test('the good version outlives several broken ones, and goes when the object is taken out', () => {
  const made = store({ 'a.yaml': entry('x', ', resolution: DNS') });
  const read = (text: string) => {
    made.set('a.yaml', decodeDocuments(text, 'a.yaml'));
    return made.snapshot();
  };
  for (const broken of [entry('x', ', location: HERE'), 'a: [', entry('x', ', location: THERE'), 'just text']) {
    const snapshot = read(broken);
    assert.equal(snapshot.get('ServiceEntry', 'default', 'x')?.spec.resolution, 'DNS', broken);
    assert.equal(snapshot.findings.filter(({ code }) => code === 'SP0010').length, 1, broken);
  }
  assert.equal(read(entry('y')).get('ServiceEntry', 'default', 'x'), undefined);
});

test('what a change does not concern stays the same object, as does each list of a kind without changes', () => {
  const gateway = 'apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec: {servers: []}\n';
  const made = store({ 'a.yaml': `${entry('x')}---\n${entry('y')}`, 'b.yaml': `${entry('z')}---\n${gateway}` });
  const before = made.snapshot();
  made.set('a.yaml', decodeDocuments(`${entry('new')}---\n${entry('x', ', resolution: DNS')}---\n${entry('y')}`, 'a.yaml'));
  const after = made.snapshot();
  assert.deepEqual(
    after.list('ServiceEntry').map(({ metadata }) => metadata.name),
    ['new', 'x', 'y', 'z'],
  );
  for (const name of ['y', 'z']) assert.equal(after.get('ServiceEntry', 'default', name), before.get('ServiceEntry', 'default', name));
  const [x, former] = [after, before].map((snapshot) => snapshot.get('ServiceEntry', 'default', 'x'));
  assert.notEqual(x, former);
  assert.equal(x?.order, former?.order);
  assert.equal(after.list('Gateway'), before.list('Gateway'));
  assert.equal(after.findings, before.findings);

  const again = made.snapshot();
  assert.equal(again.list('ServiceEntry'), after.list('ServiceEntry'));
  assert.equal(again.all(), after.all());
});

test('an object that moves in its file is the same object at another place', () => {
  const made = store({ 'a.yaml': entry('x') });
  const before = made.snapshot().get('ServiceEntry', 'default', 'x');
  made.set('a.yaml', decodeDocuments(`# A comment.\n\n${entry('x')}`, 'a.yaml'));
  const after = made.snapshot().get('ServiceEntry', 'default', 'x');
  assert.equal(after, before);
  assert.equal(after?.source.position(['spec', 'hosts']).line, 6);
});

test('an object that broke and is mended is the one that stayed in force', () => {
  const made = store({ 'a.yaml': entry('x') });
  const before = made.snapshot().list('ServiceEntry');
  made.set('a.yaml', decodeDocuments(entry('x', ', location: HERE'), 'a.yaml'));
  const broken = made.snapshot();
  assert.equal(broken.list('ServiceEntry'), before);
  assert.equal(broken.all()[0]?.valid, false);
  made.set('a.yaml', decodeDocuments(`\n${entry('x')}`, 'a.yaml'));
  const mended = made.snapshot();
  assert.equal(mended.list('ServiceEntry'), before);
  assert.deepEqual(mended.all(), before);
  assert.equal(mended.all()[0]?.source.position().line, 2);
});

test('of an object that stands twice in a file the first is the one that stays in force when both break', () => {
  const twice = (first: string, second: string) => `${entry('x', first)}---\n${entry('x', second)}`;
  const made = store({ 'a.yaml': twice(', resolution: DNS', ', resolution: STATIC') });
  made.snapshot();
  made.set('a.yaml', decodeDocuments(twice(', location: HERE', ', location: HERE'), 'a.yaml'));
  assert.equal(made.snapshot().get('ServiceEntry', 'default', 'x')?.spec.resolution, 'DNS');
});
