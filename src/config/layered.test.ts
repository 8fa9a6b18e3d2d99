import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeDocuments } from '../api/documents.ts';
import { Layered } from './layered.ts';
import { snapshotFromText } from './memory.ts';
import { withObjects } from './snapshot.ts';
import { Store } from './store.ts';

const entry = (name: string, host = name) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec: {hosts: [${host}.example.com], ports: [{number: 80, name: http}]}
---`;
const hostsOf = (snapshot: Layered) => snapshot.list('ServiceEntry').map(({ spec }) => spec.hosts[0]);

test('the upper layer adds what the lower one does not have, as its youngest', () => {
  const layered = new Layered(snapshotFromText(entry('a') + entry('b')), snapshotFromText(entry('c') + entry('a', 'other')));
  assert.deepEqual(hostsOf(layered), ['a.example.com', 'b.example.com', 'c.example.com']);
  const orders = layered.list('ServiceEntry').map(({ order }) => order);
  assert.deepEqual(
    orders,
    orders.toSorted((a, b) => a - b),
  );
  assert.equal(layered.get('ServiceEntry', 'default', 'c'), layered.list('ServiceEntry')[2]);
  assert.equal(layered.all().length, 3);
});

test('layers over layers are younger still', () => {
  const layered = new Layered(
    new Layered(snapshotFromText(entry('a')), snapshotFromText(entry('b') + entry('c'))),
    snapshotFromText(entry('d')),
  );
  const orders = layered.list('ServiceEntry').map(({ order }) => order);
  assert.equal(new Set(orders).size, 4);
  assert.equal(orders[3], Math.max(...orders));
});

test('what is laid over stays the same object while the lower layer changes, and lists stay where both layers have the same', () => {
  const store = new Store();
  const extra = snapshotFromText(entry('z'));
  const over = (text: string) => {
    store.set('a.yaml', decodeDocuments(text, 'a.yaml'));
    return new Layered(store.snapshot(), extra);
  };
  const first = over(entry('a') + entry('b'));
  const same = over(entry('a') + entry('b'));
  assert.equal(same.list('ServiceEntry'), first.list('ServiceEntry'));
  assert.equal(same.all(), first.all());
  const more = over(entry('a') + entry('b') + entry('c'));
  assert.equal(more.get('ServiceEntry', 'default', 'z'), first.get('ServiceEntry', 'default', 'z'));
  assert.deepEqual(hostsOf(over(entry('z', 'own'))), ['own.example.com']);
});

test('a snapshot with other objects is of the same moment', () => {
  const base = new Layered(snapshotFromText('', { now: () => 5 }), snapshotFromText(''));
  const other = withObjects(base, { list: () => [], get: () => undefined, all: () => [] });
  assert.deepEqual([other.asOf, other.until], [5, Number.POSITIVE_INFINITY]);
});
