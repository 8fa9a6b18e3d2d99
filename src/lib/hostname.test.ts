import assert from 'node:assert/strict';
import { test } from 'node:test';
import { editDistance, fullHostname, hostCovers, hostsOverlap, likelyName } from './hostname.ts';

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

test('edit distance counts a swap as one and stops at the limit', () => {
  assert.equal(editDistance('egress', 'egress'), 0);
  assert.equal(editDistance('egress', 'egerss'), 1);
  assert.equal(editDistance('abcdefgh', 'zzzzzzzz', 3), 4);
});

test('the likely name is near, and nothing when all are far', () => {
  assert.equal(likelyName('hsots', ['hosts', 'http', 'tcp']), 'hosts');
  assert.equal(likelyName('zz', ['hosts', 'http']), undefined);
});
