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
  const order = (files?: string[]) =>
    made
      .snapshot(files)
      .list('ServiceEntry')
      .map(({ metadata, order }) => `${metadata.name}${order}`);
  assert.deepEqual(order(), ['d0', 'b1', 'e2', 'a3', 'c4']);
  assert.deepEqual(order(['b.yaml', 'a.yaml']), ['d0', 'e1', 'b2', 'a3', 'c4']);
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
