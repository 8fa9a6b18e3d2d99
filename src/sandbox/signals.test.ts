import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCommand } from './command.ts';
import { exitCodeOf, groupOf, OwnSignals } from './signals.ts';

test('a command that a signal ends gives 128 and its number, whichever it is', async () => {
  assert.deepEqual((['SIGHUP', 'SIGINT', 'SIGKILL', 'SIGSEGV', 'SIGTERM'] as const).map(exitCodeOf), [129, 130, 137, 139, 143]);
  const ended = await runCommand(['sh', '-c', 'kill -KILL $$'], { address: '127.0.0.1', port: 27000 }, process.env);
  assert.equal(ended, 137);
});

test('a signal that came here as well is told from one that did not, once each, though it is told of seconds later', () => {
  let now = 50_000;
  const own = new OwnSignals(() => now);
  assert.equal(own.take('SIGTERM'), false);
  own.had('SIGTERM');
  own.had('SIGTERM');
  own.had('SIGINT');
  assert.deepEqual([own.take('SIGTERM'), own.take('SIGTERM'), own.take('SIGTERM'), own.take('SIGINT')], [true, true, false, true]);
  own.had('SIGTERM');
  own.had('SIGTERM');
  now += 9999;
  assert.equal(own.take('SIGTERM'), true);
  now += 2;
  assert.equal(own.take('SIGTERM'), false);
});

test('the process group of a process, and of one that is gone', () => {
  assert.match(groupOf(process.pid) ?? '', /^\d+$/);
  assert.equal(groupOf(4_194_305), undefined);
});
