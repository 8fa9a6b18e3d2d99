import assert from 'node:assert/strict';
import { test } from 'node:test';
import { portList, rangeList } from './lists.ts';
import { type CaptureSettings, captureRules } from './rules.ts';
import { ALL_CAPTURED } from './testing.ts';

const SETTINGS = { ...ALL_CAPTURED, excludeInboundPorts: ['15090', '15021', '15020'] };

const lines = (settings: Partial<CaptureSettings>, family: 'IPv4' | 'IPv6' = 'IPv4', present = '') =>
  captureRules({ ...SETTINGS, ...settings }, family, present).split('\n');

test('all but what the proxy sends, loopback, and its own ports', () => {
  assert.deepEqual(lines({}), [
    '*nat',
    ':ISTIO_INBOUND - [0:0]',
    ':ISTIO_REDIRECT - [0:0]',
    ':ISTIO_IN_REDIRECT - [0:0]',
    ':ISTIO_OUTPUT - [0:0]',
    '-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001',
    '-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006',
    '-A PREROUTING -p tcp -j ISTIO_INBOUND',
    '-A OUTPUT -j ISTIO_OUTPUT',
    ...['15008', '15090', '15021', '15020'].map((port) => `-A ISTIO_INBOUND -p tcp --dport ${port} -j RETURN`),
    '-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT',
    '-A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN',
    '-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp ! --dport 15008 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT',
    '-A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN',
    '-A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN',
    '-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN',
    '-A ISTIO_OUTPUT -j ISTIO_REDIRECT',
    'COMMIT',
    '',
  ]);
});

test('ranges stand in the rules of their family', () => {
  const settings = { includeOutboundRanges: ['10.0.0.0/8', 'fd00::/8'], excludeOutboundRanges: ['10.1.0.0/16'] };
  const last = (family: 'IPv4' | 'IPv6') => lines(settings, family).slice(-5, -2);
  assert.deepEqual(last('IPv4').slice(1), ['-A ISTIO_OUTPUT -d 10.1.0.0/16 -j RETURN', '-A ISTIO_OUTPUT -d 10.0.0.0/8 -j ISTIO_REDIRECT']);
  assert.deepEqual(last('IPv6').slice(1), ['-A ISTIO_OUTPUT -d ::1/128 -j RETURN', '-A ISTIO_OUTPUT -d fd00::/8 -j ISTIO_REDIRECT']);
});

test('jumps that are there are taken away in the same step', () => {
  const present = lines({}).join('\n');
  const again = lines({}, 'IPv4', present);
  assert.ok(again.includes('-D OUTPUT -j ISTIO_OUTPUT'));
  assert.ok(again.includes('-D PREROUTING -p tcp -j ISTIO_INBOUND'));
});

test('DNS goes to the proxy by any server, in zones of its own, which go where it is captured no more', () => {
  const captured = lines({ dnsPort: 15_053 });
  assert.deepEqual(captured.slice(0, captured.indexOf('COMMIT') + 1), [
    '*raw',
    ':ISTIO_OUTPUT_DNS - [0:0]',
    ':ISTIO_PREROUTING_DNS - [0:0]',
    '-A PREROUTING -p udp -j ISTIO_PREROUTING_DNS',
    '-A OUTPUT -p udp -j ISTIO_OUTPUT_DNS',
    '-A ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --uid-owner 1337 -j CT --zone 1',
    '-A ISTIO_OUTPUT_DNS -p udp --sport 15053 -m owner --uid-owner 1337 -j CT --zone 2',
    '-A ISTIO_OUTPUT_DNS -p udp --dport 53 -j CT --zone 2',
    '-A ISTIO_PREROUTING_DNS -p udp --sport 53 -j CT --zone 1',
    'COMMIT',
  ]);
  for (const protocol of ['tcp', 'udp'])
    assert.ok(captured.includes(`-A ISTIO_OUTPUT -p ${protocol} --dport 53 -j REDIRECT --to-ports 15053`));
  const after = lines({}, 'IPv4', captured.join('\n'));
  assert.deepEqual(after.slice(0, after.indexOf('COMMIT')), [
    '*raw',
    ':ISTIO_OUTPUT_DNS - [0:0]',
    ':ISTIO_PREROUTING_DNS - [0:0]',
    '-D PREROUTING -p udp -j ISTIO_PREROUTING_DNS',
    '-D OUTPUT -p udp -j ISTIO_OUTPUT_DNS',
  ]);
});

test('lists are read, and nothing else is taken for one', () => {
  assert.deepEqual(portList(' 80, 443,', 'listed'), { entries: ['80', '443'] });
  assert.deepEqual(portList('*', 'or all'), { entries: '*' });
  assert.deepEqual(rangeList('', 'listed'), { entries: [] });
  for (const text of ['*', '80-90', '-1', '80 -j ACCEPT', '65536']) assert.ok('problem' in portList(text, 'listed'), text);
  for (const text of ['*', '10.0.0.1', '10.0.0.0/33', 'fd00::/8 -j ACCEPT']) assert.ok('problem' in rangeList(text, 'listed'), text);
});
