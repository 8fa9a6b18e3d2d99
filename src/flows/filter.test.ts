import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flowFilter, lastAsked } from './filter.ts';
import { flowOf } from './testing.ts';

const fits = (query: string, fields: Parameters<typeof flowOf>[0] = {}) => flowFilter(new URLSearchParams(query))(flowOf(fields));

test('without a filter everything is shown', () => {
  assert.ok(fits(''));
  assert.ok(fits('', { kind: 'begin', verdict: undefined }));
});

test('a verdict is known at the end alone', () => {
  assert.ok(fits('verdict=refused', { verdict: 'refused' }));
  assert.ok(fits('verdict=refused&verdict=failed', { verdict: 'failed' }));
  assert.ok(!fits('verdict=refused'));
  assert.ok(!fits('verdict=allowed', { kind: 'begin', verdict: undefined }));
});

test('hosts are names or patterns, whatever their case', () => {
  for (const pattern of ['www.example.com', 'WWW.example.COM', '*.example.com', 'www.*', '*', 'w*.exa*.com', '*example*'])
    assert.ok(fits(`host=${pattern}`), pattern);
  for (const pattern of ['example.com', '*.example.org', 'www', 'www.example.com*x', '*w.e*w.e*', 'www.example.com.*'])
    assert.ok(!fits(`host=${pattern}`), pattern);
  assert.ok(fits('host=a.example&host=*.com'));
  assert.ok(!fits('host=aba*aba', { host: 'aba' }), 'a character counts once');
});

test('a program is named or numbered; unknown ones are not shown then', () => {
  const process = { pid: 4242, name: 'npm' };
  assert.ok(fits('process=npm', { process }));
  assert.ok(fits('process=4242', { process }));
  assert.ok(!fits('process=curl', { process }));
  assert.ok(!fits('process=npm'));
});

test('several filters have to hold together', () => {
  assert.ok(fits('protocol=tls&host=*.com&proxy=default/local&verdict=allowed'));
  assert.ok(!fits('protocol=http&host=*.com'));
  assert.ok(!fits('proxy=istio-system/istio-egressgateway'));
});

test('what does not exist is said, not ignored', () => {
  const throws = (query: string, message: RegExp) =>
    assert.throws(() => flowFilter(new URLSearchParams(query)), { code: 'usage', message });
  throws('verdicts=refused', /no filter verdicts; there are verdict, host, process, protocol, proxy/);
  throws('verdict=denied', /verdict is one of allowed, refused, failed, not "denied"/);
  throws('protocol=udp', /protocol is one of http, tls, tcp, dns/);
  throws('host=', /host must not be empty/);
});

test('how many of the last calls are asked for is a number, and once', () => {
  assert.equal(lastAsked(new URLSearchParams('')), 0);
  assert.equal(lastAsked(new URLSearchParams('last=20&verdict=refused')), 20);
  for (const query of ['last=', 'last=-1', 'last=1e3', 'last=10000', 'last=1&last=2'])
    assert.throws(() => lastAsked(new URLSearchParams(query)), { code: 'usage' }, query);
});
