/** Generated ways out of `run`: nothing comes out but what is allowed; where destinations are not bound, the same attempts show that it would be seen. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needs } from '../integration/tools.ts';
import { runAttempts } from './attempts/run.ts';
import { sandboxNeeds } from './sandbox-support.ts';

const skip = sandboxNeeds('root') || needs('openssl', 'ip', 'mount');

test('of 2,000 attempts nothing comes out that is not allowed', { skip }, async () => {
  const { code, leaks, missed, said, allowed } = await runAttempts({ seed: 1, first: 0, count: 2000, together: 16, bound: true });
  assert.deepEqual({ code, leaks, missed, said }, { code: 0, leaks: [], missed: { connections: 0, datagrams: 0 }, said: false });
  // And some of what is: the servers outside are there, for each of the protocols.
  for (const what of [
    'request at 203.0.113.10:80',
    'request at 203.0.113.20:443',
    'hello at 203.0.113.10:443',
    'connection at 203.0.113.77:9000',
  ])
    assert.ok(allowed[what]! > 0, `${what}: ${JSON.stringify(allowed)}`);
});

test('without binding some of the same come where they must not', { skip }, async () => {
  const { leaked } = await runAttempts({ seed: 1, first: 0, count: 1000, together: 16, bound: false });
  assert.ok(leaked > 0);
});
