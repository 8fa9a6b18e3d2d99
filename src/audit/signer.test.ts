import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signerOf } from './signer.ts';
import { keyIn, tempFolder } from './testing.ts';

test('a command that signs has its time, whatever it has started', async (t) => {
  const { publicFile } = keyIn(tempFolder(t));
  for (const command of ['sleep 600', 'sleep 600 | cat', 'setsid sleep 20', 'trap "" TERM; sleep 600; sleep 600']) {
    const signer = signerOf({ command, publicKey: publicFile, commandMs: 200 });
    await assert.rejects(signer.sign(Buffer.from('line')), /has not answered within 0.2 s/, command);
  }
});

test('an answer of a command that is no signature, or never ends, is told', async (t) => {
  const { publicFile } = keyIn(tempFolder(t));
  const signed = (command: string) => signerOf({ command, publicKey: publicFile }).sign(Buffer.from('line'));
  await assert.rejects(signed('echo AAAA'), /does not fit the public key/);
  await assert.rejects(signed('yes | cat'), /more than a signature/);
  await assert.rejects(signed('exit 3'), /exit code 3/);
});
