import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shownAt, shownBy } from './watched.ts';

const up = { command: 'up', pid: 1, socketPath: '/up.sock' } as const;
const run = { command: 'run', pid: 2, socketPath: '/run.sock' } as const;

test('the one that runs is meant, or of several the one that is named', () => {
  assert.deepEqual(shownBy([up], undefined).where, { socketPath: '/up.sock' });
  assert.equal(shownBy([up, run], 2).name, 'sallyport run, process 2');
  assert.throws(() => shownBy([up, run], undefined), { code: 'usage', message: /--run PID: 1 \(up\), 2 \(run\)$/ });
});

test('where nothing fits it says what runs, and what can be watched', () => {
  assert.throws(() => shownBy([up], 7), { code: 'nothing-runs', message: 'process 7 shows no calls; there are 1 (up).' });
  assert.throws(() => shownBy([], 7), { code: 'nothing-runs', message: /start sallyport up, run, proxy or agent first/ });
});

test('an admin address may be of IPv6', () => {
  assert.equal(shownAt({ address: '::1', port: 15000 }).name, 'the proxy at [::1]:15000');
});
