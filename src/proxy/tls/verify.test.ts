import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dnsNameMatches, exactSan, parseAltNames } from './verify.ts';

test('alternative names, quoted ones too', () => {
  assert.deepEqual(parseAltNames('DNS:a.example, URI:spiffe://td/ns/x, IP Address:10.0.0.1, email:a@b, DNS:"x, DNS:evil.example"'), [
    { type: 'dns', value: 'a.example' },
    { type: 'uri', value: 'spiffe://td/ns/x' },
    { type: 'ip', value: '10.0.0.1' },
    { type: 'email', value: 'a@b' },
    { type: 'dns', value: 'x, DNS:evil.example' },
  ]);
  assert.deepEqual(parseAltNames(undefined), []);
});

test('a wildcard stands for one whole label', () => {
  assert.equal(dnsNameMatches('WWW.example.com', 'www.Example.com'), true);
  assert.equal(dnsNameMatches('a.example.com', '*.example.com'), true);
  assert.equal(dnsNameMatches('a.b.example.com', '*.example.com'), false);
  assert.equal(dnsNameMatches('example.com', '*.example.com'), false);
  assert.equal(dnsNameMatches('a.example.com', 'a*.example.com'), false);
  assert.equal(exactSan('a.example.com').matches({ type: 'dns', value: '*.example.com' }), true);
  assert.equal(exactSan('spiffe://a').matches({ type: 'uri', value: 'spiffe://ab' }), false);
});
