import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyCommand } from './verify.ts';

test('statements are about captured applications: of those that go round their sidecars alone nothing would be proved', async () => {
  const words = ['examples/egress-http', '--statements', 'statements.yaml', '--adversary', 'bypassing'];
  await assert.rejects(verifyCommand().exitOverride().parseAsync(words, { from: 'user' }), { code: 'usage' });
});
