import assert from 'node:assert/strict';
import { test } from 'node:test';
import { captureText, readCapture } from './annotation.ts';
import { capturesOutbound, probesFor } from './probes.ts';
import { type CaptureSettings, captureRules, missingRules } from './rules.ts';
import { ALL_CAPTURED } from './testing.ts';

const tried = (settings: Partial<CaptureSettings>, uid = 1338) =>
  probesFor({ ...ALL_CAPTURED, ...settings }, uid).map(
    ({ what, ip, port, arrives }) => `${what} ${ip} ${port} -> ${arrives.ip} ${arrives.port}`,
  );

test('what shows capture is a call to nobody that the settings capture', () => {
  assert.deepEqual(tried({}), ['TCP 192.0.2.1 9 -> 127.0.0.1 15001', 'TCP 2001:db8::1 9 -> ::1 15001']);
  assert.deepEqual(tried({ excludeOutboundRanges: ['192.0.0.0/16', '2000::/3'], excludeOutboundPorts: ['9'] }), [
    'TCP 198.51.100.1 10 -> 127.0.0.1 15001',
    'TCP 4000:: 10 -> ::1 15001',
  ]);
  assert.deepEqual(tried({ includeOutboundRanges: ['10.1.0.0/16'], excludeOutboundRanges: ['10.1.0.0/24'] }), [
    'TCP 10.1.1.0 9 -> 127.0.0.1 15001',
  ]);
  assert.deepEqual(tried({ includeOutboundRanges: [], includeOutboundPorts: ['443'] }), [
    'TCP 192.0.2.1 443 -> 127.0.0.1 15001',
    'TCP 2001:db8::1 443 -> ::1 15001',
  ]);
  assert.equal(tried({ dnsPort: 15_053 }).at(-1), 'DNS 192.0.2.1 53 -> 127.0.0.1 15053');
  assert.equal(tried({ dnsPort: 15_053, excludeOutboundPorts: ['53'] }).length, 2);
});

test('where nothing that is sent is captured, the proxy’s user sees the rules for what comes in', () => {
  const none = { includeOutboundRanges: [] };
  assert.equal(capturesOutbound({ ...ALL_CAPTURED, ...none }), false);
  assert.equal(capturesOutbound({ ...ALL_CAPTURED, excludeOutboundRanges: ['0.0.0.0/0', '::/0'] }), false);
  assert.equal(capturesOutbound(ALL_CAPTURED), true);
  assert.deepEqual(tried(none, 1337), ['inbound TCP 127.0.0.2 9 -> 127.0.0.1 15006']);
});

test('the annotation says the settings, and nothing else is taken for them', () => {
  for (const settings of [ALL_CAPTURED, { ...ALL_CAPTURED, dnsPort: 15_053, excludeOutboundRanges: ['10.0.0.0/8', 'fd00::/8'] }])
    assert.deepEqual(readCapture(captureText(settings)), { settings });
  const wrong = [
    { proxyUid: 0 },
    { outboundPort: '15001' },
    { outboundPort: 70_000 },
    { excludeOutboundPorts: '80 -j ACCEPT' },
    { includeOutboundRanges: '10.0.0.0/8\n-A OUTPUT -j ACCEPT' },
    { excludeOutboundRanges: '*' },
    { includeInboundPorts: undefined },
  ];
  for (const each of wrong) {
    const text = JSON.stringify({ ...JSON.parse(captureText(ALL_CAPTURED)), ...each });
    assert.ok('problem' in readCapture(text), text);
  }
  for (const text of ['', 'null', '[]', '1']) assert.ok('problem' in readCapture(text), text);
});

test('rules that are not there are named', () => {
  const dns = { ...ALL_CAPTURED, dnsPort: 15_053 };
  const whole = captureRules(dns, 'IPv4', '');
  assert.deepEqual(missingRules(dns, 'IPv4', whole), []);
  assert.deepEqual(missingRules(dns, 'IPv4', whole.replace('-A OUTPUT -j ISTIO_OUTPUT\n', '')), ['OUTPUT -j ISTIO_OUTPUT']);
  assert.deepEqual(missingRules(dns, 'IPv4', whole.replace(/-A ISTIO_REDIRECT .*\n/, '')), ['ISTIO_REDIRECT']);
  assert.equal(missingRules(ALL_CAPTURED, 'IPv4', '').length, 6);
  assert.ok(missingRules(dns, 'IPv4', captureRules(ALL_CAPTURED, 'IPv4', '')).includes('OUTPUT -p udp -j ISTIO_OUTPUT_DNS'));
});
