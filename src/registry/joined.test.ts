import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshFromText } from '../../test/support/mesh.ts';
import { joinable, joined } from './joined.ts';
import type { Service } from './model.ts';

interface Declared {
  readonly port?: number;
  readonly spec?: string;
  readonly metadata?: string;
  readonly namespace?: string;
}

function serviceOf({ port = 80, spec = '', metadata = '', namespace = 'default' }: Declared = {}): Service {
  const [service] = meshFromText(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: s, namespace: ${namespace}${metadata} }
spec: { hosts: [www.example.com], ports: [{ number: ${port}, name: p${port}, protocol: HTTP }]${spec || ', resolution: DNS'} }`).registry
    .services;
  return service!;
}

test('two are one service where all but their ports is the same', () => {
  const alike = (declared: Declared, other: Declared = {}) => {
    const [a, b] = [serviceOf(other), serviceOf({ port: 81, ...declared })];
    assert.equal(joinable(a, b), joinable(b, a));
    return joinable(a, b);
  };
  const labelled = (labels: string): Declared => ({ metadata: `, labels: {${labels}}` });
  assert.equal(alike({}), true);
  assert.equal(alike({ namespace: 'other' }), false);
  assert.equal(alike({ spec: ', resolution: NONE' }), false);
  assert.equal(alike(labelled('a: "1", b: "2"'), labelled('b: "2", a: "1"')), true);
  assert.equal(alike(labelled('a: "1"')), false);
  assert.equal(alike(labelled('a: "1"'), labelled('a: "2"')), false);
  assert.equal(alike(labelled('a: "1"'), labelled('b: "1"')), false);
  assert.equal(alike(labelled('a: "1"'), labelled('a: "1", b: "2"')), false);
});

test('two with selectors are one service where these are the same', () => {
  const selecting = (app: string, port = 80) =>
    serviceOf({ port, spec: `, resolution: STATIC, workloadSelector: { labels: { app: ${app} } }` });
  assert.equal(joinable(selecting('a'), selecting('a', 81)), true);
  assert.equal(joinable(selecting('a'), selecting('b', 81)), false);
});

test('whom they are shown to is compared as it is written: leaving it out is not *', () => {
  const shown = (exportTo: string, port = 80) => serviceOf({ port, spec: `, resolution: DNS, exportTo: ${exportTo}` });
  assert.equal(joinable(shown('[., other]'), shown('[other, .]', 81)), true);
  assert.equal(joinable(shown('[.]'), shown('[., other]', 81)), false);
  assert.equal(joinable(shown('[., a]'), shown('[., b]', 81)), false);
  assert.equal(joinable(serviceOf(), shown('["*"]', 81)), false);
});

test('joined services have the ports of all, in order, and are the same object each time', () => {
  const [a, b, c] = [serviceOf(), serviceOf({ port: 81 }), serviceOf({ port: 82 })];
  assert.equal(joined([]), undefined);
  assert.equal(joined([a]), a);
  const all = joined([a, b, c])!;
  assert.deepEqual(
    all.ports.map(({ number }) => number),
    [80, 81, 82],
  );
  assert.equal(joined([a, b, c]), all);
  assert.deepEqual(
    joined([a, c])!.ports.map(({ number }) => number),
    [80, 82],
  );
  assert.equal(a.ports.length, 1, 'those that are joined stay as they are');
});
