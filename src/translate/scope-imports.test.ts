import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importsOf } from './scope-imports.ts';

test('exact hosts, wildcards and namespaces of an egress entry', () => {
  const imports = importsOf(['./own.example.com', 'a/one.example.com', 'b/one.example.com', '*/*.wild.example.com', 'c/*'], 'home');
  const services: readonly (readonly [namespace: string, host: string, taken: boolean])[] = [
    ['home', 'own.example.com', true],
    ['a', 'own.example.com', false],
    ['a', 'one.example.com', true],
    ['b', 'one.example.com', true],
    ['home', 'one.example.com', false],
    ['home', 'x.wild.example.com', true],
    ['home', 'wild.example.com', false],
    ['home', '*.deep.wild.example.com', true],
    ['c', 'anything.example.org', true],
    ['c', '*.example.org', true],
    ['home', '*.example.com', false],
  ];
  for (const [namespace, host, taken] of services) assert.equal(imports.takeService(namespace, host), taken, `${namespace}/${host}`);
  // A VirtualService for a wildcard concerns the hosts under it that are imported.
  assert.equal(imports.takeHost('a', '*.example.com'), true);
  assert.equal(imports.takeHost('d', '*.example.com'), true, 'by *.wild.example.com');
  assert.equal(imports.takeHost('d', '*.example.org'), false);
  assert.equal(imports.takeHost('d', 'one.example.com'), false);
  assert.equal(imports.takeHost('d', 'x.wild.example.com'), true);
});

test('a tilde before a namespace takes its hosts out of what other entries import', () => {
  const imports = importsOf(['*/*', '~a/*.example.com'], 'home');
  assert.equal(imports.takeService('a', 'www.example.com'), false);
  assert.equal(imports.takeHost('a', 'www.example.com'), false);
  assert.equal(imports.takeService('a', 'www.example.org'), true);
  assert.equal(imports.takeService('b', 'www.example.com'), true);
});

test('a tilde alone takes its hosts of every namespace out', () => {
  const imports = importsOf(['./*', '*/*', '~/*.example.com'], 'home');
  for (const namespace of ['home', 'b']) {
    assert.equal(imports.takeService(namespace, 'www.example.com'), false);
    assert.equal(imports.takeHost(namespace, 'www.example.com'), false);
    assert.equal(imports.takeService(namespace, 'www.example.org'), true);
  }
});
