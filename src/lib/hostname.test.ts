import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fullHostname, hostCovers, hostsOverlap } from './hostname.ts';

test('a short name is a Service of the own namespace', () => {
  assert.equal(fullHostname('httpbin', 'default'), 'httpbin.default.svc.cluster.local');
  assert.equal(fullHostname('www.example.com', 'default'), 'www.example.com');
  assert.equal(fullHostname('*', 'default'), '*');
});

test('wildcards cover names and narrower wildcards, not their own suffix', () => {
  assert.ok(hostCovers('*.example.com', 'www.example.com'));
  assert.ok(hostCovers('*.example.com', '*.eu.example.com'));
  assert.ok(!hostCovers('*.example.com', 'example.com'));
  assert.ok(!hostCovers('*.example.com', '*.com'));
  assert.ok(!hostCovers('www.example.com', '*.example.com'));
  assert.ok(hostsOverlap('www.example.com', '*.example.com'));
  assert.ok(!hostsOverlap('*.example.org', '*.example.com'));
});
