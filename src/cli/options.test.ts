import assert from 'node:assert/strict';
import { test } from 'node:test';
import { durationOption, labelsOption, loopbackOption, namespacedNameOption, portOption, rangesOption, socketOption } from './options.ts';

test('addresses', () => {
  const parse = socketOption('127.0.0.1');
  assert.deepEqual(parse('15080'), { address: '127.0.0.1', port: 15080 });
  assert.deepEqual(parse('0.0.0.0:80'), { address: '0.0.0.0', port: 80 });
  assert.deepEqual(parse('[::1]:80'), { address: '::1', port: 80 });
  for (const wrong of ['', 'a', '::1:80', '1.2.3.4:', '70000']) assert.throws(() => parse(wrong), wrong);
  assert.equal(loopbackOption('127.0.100.1'), '127.0.100.1');
  for (const wrong of ['10.0.0.1', '127.0.0', '127.0.0.300']) assert.throws(() => loopbackOption(wrong), wrong);
  assert.deepEqual(rangesOption('fd00::/8', ['10.0.0.0/8']), ['10.0.0.0/8', 'fd00::/8']);
  for (const wrong of ['abc', '10.0.0.0/33', '10.0.0.0/', '']) assert.throws(() => rangesOption(wrong, []), wrong);
});

test('ports, durations, names and labels', () => {
  assert.equal(portOption('0'), 0);
  assert.throws(() => portOption('-1'));
  assert.equal(durationOption('500ms'), 500);
  assert.equal(durationOption('1.5s'), 1500);
  assert.equal(durationOption('2m'), 120_000);
  assert.throws(() => durationOption('5'));
  assert.deepEqual(namespacedNameOption('default/web'), { namespace: 'default', name: 'web' });
  assert.throws(() => namespacedNameOption('web'));
  assert.deepEqual(labelsOption('app=web,tier=front'), { app: 'web', tier: 'front' });
  assert.throws(() => labelsOption('app'));
});
