import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCommand } from './command.ts';
import { exitCodeOf } from './signals.ts';

test('a command that a signal ends gives 128 and its number, whichever it is', async () => {
  assert.deepEqual((['SIGHUP', 'SIGINT', 'SIGKILL', 'SIGSEGV', 'SIGTERM'] as const).map(exitCodeOf), [129, 130, 137, 139, 143]);
  const ended = await runCommand(['sh', '-c', 'kill -KILL $$'], { address: '127.0.0.1', port: 27000 }, process.env);
  assert.equal(ended, 137);
});
